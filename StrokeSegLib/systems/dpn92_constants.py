"""Every constant of the DPN92-UNet paper (S4) in one place; a test writes the numbers out again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DPN92Constants:
    """The published values; where the paper is silent, "ours" says so.

    The paper tuned k, the choice of the ensemble and the checkpoints on the 30 patients that its table reports, and the
    classifier on 30 + 30 + 30 cases: as printed here they reproduce the paper, they do not promise its figures.

    Attributes:
        k_axial, k_coronal, k_sagittal: A voxel is a lesion where any plane's probability exceeds the plane's k.
        hemorrhagic_k: In place of all three for hemorrhage (ours; 0 is the paper, one k for both classes).
        vpred_above: The classifier looks at voxels whose Vpred (sum of probability / k over the planes) exceeds this.
        ischemic_m, hemorrhagic_m: A class is present where its m, the mean Vpred of those voxels, exceeds this.
        min_volume_ml: Classes with less volume of those voxels are not reported (ours; 0 is the paper), mL.
        remove_denied: Above 0, a class that the classifier denies is not marked (ours; 0 is the paper).
        closing_radius_mm: The paper closes with a ball of 3 voxels of 0.5-1 mm; here 3 mm on any grid.
        axial_candidates, axial_members: Axial networks that were trained, and the best of them that are averaged.
        plane_members: Networks averaged for the coronal plane, and for the sagittal plane.
        steps, batch_slices, validate_every_steps: Length of the training, slices a step, steps between validations.
        learning_rate, learning_rate_decay: RMSProp's rate at the first step, and its factor after each step.
        stroke_slice_probability: Chance that a slice of a batch is drawn from those with a lesion; else from all.
        focal_gamma, focal_alpha: Of the focal loss (ours: the paper prints neither; None weighs the classes alike).
        flip_probability, min_scale, max_scale, max_rotation_deg: Augmentation, besides random quarter turns.
        validation_fraction: Part of the patients.
        input_channels: One slice, repeated.
        window_hu: Intensities that become 0..1 (ours).
        slice_pixels: Axial slices are cropped or padded to this square (ours).
        plane_spacing_mm: Isotropic grid on which coronal and sagittal slices are cut (ours, the paper's was 0.5-1 mm).
        max_slice_mm: Slices further apart than this leave only the axial plane (ours).
    """

    k_axial: float = 0.47
    k_coronal: float = 0.56
    k_sagittal: float = 0.56
    hemorrhagic_k: float = 0.0

    vpred_above: float = 0.9
    ischemic_m: float = 1.16
    hemorrhagic_m: float = 1.52
    min_volume_ml: float = 0.0
    remove_denied: float = 0.0

    closing_radius_mm: float = 3.0

    axial_candidates: int = 40
    axial_members: int = 6
    plane_members: int = 2

    steps: int = 20_000
    batch_slices: int = 12
    validate_every_steps: int = 500
    learning_rate: float = 1e-4
    learning_rate_decay: float = 0.99977
    stroke_slice_probability: float = 0.5
    focal_gamma: float = 2.0
    focal_alpha: float | None = None

    flip_probability: float = 0.5
    min_scale: float = 0.9
    max_scale: float = 1.1
    max_rotation_deg: float = 45.0
    validation_fraction: float = 0.1

    input_channels: int = 3
    window_hu: tuple[float, float] = (0.0, 80.0)
    slice_pixels: int = 512
    plane_spacing_mm: float = 1.0
    max_slice_mm: float = 2.5

    @property
    def k(self) -> tuple[float, float, float]:
        """k of the axial, the coronal and the sagittal plane."""
        return (self.k_axial, self.k_coronal, self.k_sagittal)

    @property
    def k_of_hemorrhage(self) -> tuple[float, float, float]:
        """The same for hemorrhage."""
        own = self.hemorrhagic_k
        return (own, own, own) if own > 0 else self.k


#: As published.
PAPER = DPN92Constants()
