"""A head with its lesions in noise-free HU, and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from StrokeSegLib.synth import ct_infarct, hemorrhage
from StrokeSegLib.synth.anatomy import PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.ct_anatomy import Landmarks, sample
from StrokeSegLib.synth.ct_artifacts import beam_hardening
from StrokeSegLib.synth.ct_chronic import add_collections, draw_collections, pressed_in
from StrokeSegLib.synth.ct_distractors import add_dense_normals, add_old_disease
from StrokeSegLib.synth.ct_ranges import CtRanges
from StrokeSegLib.synth.ct_tissues import Mixture, draw_tissue_hu, mix, person, sub_positions, tissue_at
from StrokeSegLib.synth.fields import Float
from StrokeSegLib.synth.lesions import LesionLibrary
from StrokeSegLib.synth.placement import ScanGrid

ISCHEMIC, HEMORRHAGIC = 1, 2


@dataclass(frozen=True, eq=False)
class Scene:
    """What is scanned.

    Attributes:
        noise_5mm_hu: SD of the noise as seen at 5 mm slices: what is weaker is not labeled.
        parameters: What was drawn; filled as it is drawn.
    """

    head: Head
    library: LesionLibrary | None
    grid: ScanGrid
    marks: Landmarks
    kind: str
    noise_5mm_hu: float
    ranges: CtRanges
    parameters: dict[str, float]


@dataclass(frozen=True, eq=False)
class Composed:
    """Noise-free HU, truth by label (0..1), and the brain's part of each voxel."""

    hu: Float
    truth: dict[int, Float]
    brain: Float


def compose(rng: np.random.Generator, scene: Scene) -> Composed:
    """Where lesions lie is drawn on the brain at rest; then the brain gives way to them and gets its HU."""
    marks, ranges = scene.marks, scene.ranges
    depth = sample(marks.depth_mm, marks.step_mm, scene.grid.head_mm)
    chronic = draw_collections(rng, scene.grid, depth, marks, ranges)
    grid = pressed_in(scene.grid, chronic, depth, marks)
    scene = replace(scene, grid=grid)
    at_rest = np.isin(tissue_at(scene.head, grid.head_mm), PARENCHYMA).astype(np.float32)
    ischemic, bleeding = scene.kind in ("ischemic", "both"), scene.kind in ("hemorrhagic", "both")
    occupied = np.zeros(grid.shape, np.float32)
    if ischemic:
        positions = sub_positions(rng, grid)[:2]
        occupied = ct_infarct.occupancy(rng, scene.head, scene.library, grid, positions, at_rest, ranges)
    places = hemorrhage.draw_places(rng, ranges) if bleeding else ()
    infarct = at_rest * (occupied > 0.5)
    if ischemic and bleeding and rng.random() < 0.6 and infarct.any():  # bleeding into the infarct
        places, at_rest = ("parenchymal",), infarct
    blood = hemorrhage.draw_blood(rng, places, grid, depth, marks, at_rest, ranges)
    if blood.masses:
        moved = hemorrhage.pushed(grid, blood.masses, depth, rng.uniform(0.3, 0.8))
        scene = replace(scene, grid=replace(grid, head_mm=moved))

    table = draw_tissue_hu(rng, ranges)
    mixture = mix(scene.head, sub_positions(rng, scene.grid), table)
    hu = person(rng, mixture, table, scene.grid, depth, marks, ranges)
    hu, gone = add_old_disease(rng, hu, mixture, scene.grid, depth, marks, ranges, float(table[Tissue.CSF]))
    hu = add_dense_normals(rng, hu, mixture, scene.grid, marks, ranges)
    hu, filled = add_collections(hu, chronic, depth, scene.grid)
    if chronic:
        gone = np.maximum(gone, filled)
        scene.parameters["chronic_subdural_ml"] = float(filled.sum() * np.prod(grid.spacing_mm)) / 1000
    truth: dict[int, Float] = {}
    if ischemic:
        hu, truth[ISCHEMIC] = _with_infarct(rng, scene, hu, mixture, occupied, gone)
    if bleeding:
        hu, truth[HEMORRHAGIC] = _with_blood(rng, scene, hu, mixture, blood, places)
    hu = hu + beam_hardening(rng, hu, mixture, scene.grid, ranges)
    return Composed(hu, truth, mixture.brain)


def _with_infarct(
    rng: np.random.Generator, scene: Scene, hu: Float, mixture: Mixture, occupied: Float, gone: Float
) -> tuple[Float, Float]:
    age = ct_infarct.draw_age(rng, scene.ranges)
    share = rng.random()  # later within the age's hours means darker
    gray = age.gray_drop_hu[0] + share * (age.gray_drop_hu[1] - age.gray_drop_hu[0])
    white = min(float(rng.uniform(*age.white_drop_hu)), gray)
    hours = age.hours[0] + share * (age.hours[1] - age.hours[0])
    scene.parameters.update(infarct_hours=hours, infarct_gray_drop_hu=gray, infarct_white_drop_hu=white)
    involved = ct_infarct.involvement(rng, occupied, scene.grid, scene.ranges) * (1 - gone)
    new, loss = ct_infarct.infarcted(
        hu, mixture, involved, gray_drop_hu=gray, white_drop_hu=white, swelling=rng.uniform(*age.swelling)
    )
    seen = loss > max(scene.ranges.visible_hu, scene.ranges.visible_noise_sd * scene.noise_5mm_hu)
    truth = (occupied > 0.5) & (mixture.parenchyma > 0.5) & seen & (gone < 0.3)
    return new, truth.astype(np.float32)


def _with_blood(
    rng: np.random.Generator,
    scene: Scene,
    hu: Float,
    mixture: Mixture,
    blood: hemorrhage.Blood,
    places: tuple[str, ...],
) -> tuple[Float, Float]:
    grid, marks = scene.grid, scene.marks
    filled = dict(blood.filled)
    ventricle = sample(marks.ventricle, marks.step_mm, grid.head_mm) * (1 - mixture.parenchyma) * mixture.brain
    if "ventricular" in places:
        filled["ventricular"] = hemorrhage.ventricular(rng, grid, ventricle)
    if "subarachnoid" in places:
        filled["subarachnoid"] = hemorrhage.subarachnoid(
            rng, grid, mixture.fluid, ventricle, scene.ranges.subarachnoid_reach_mm
        )
    if "parenchymal" in filled:
        hu = hu - hemorrhage.edema(rng, filled["parenchymal"], mixture.parenchyma, grid, scene.ranges)
    total = np.zeros(grid.shape, np.float32)
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    for place, whole in filled.items():
        part = whole * (1 - mixture.bone)
        scene.parameters[f"{place}_ml"] = float((part > 0.5).sum()) * voxel_ml
        rise = part * np.maximum(hemorrhage.blood_hu(rng, grid, scene.ranges) - hu, 0)
        hu = hu + rise
        total = np.maximum(total, part * (rise > max(scene.ranges.visible_blood_hu, scene.noise_5mm_hu)))
    return np.asarray(hu, np.float32), total
