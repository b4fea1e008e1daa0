"""System ``mri``: infarcts on MRI with a ResNet50-UNet, slice by slice (S3).

The published network reads one slice of one sequence, replicated to three channels (mode ``single``). The bundled
one (mode ``diffusion``) reads each slice with its two neighbors of DWI and ADC, because an acute infarct is defined by
the pair: bright on DWI and dark on ADC; and because EPI artifacts give themselves away in the neighboring slices. Mode
``any`` takes whatever a case has of its sequences, and mode ``rest`` does beside a network for the pair. Modes ``2.5d``
and ``stack`` are variants of the published one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.brain import PARENCHYMA_ADC_UM2_PER_MS, brain_mask
from StrokeSegLib.preprocess.doubts import size_doubts, swapped_doubts
from StrokeSegLib.preprocess.geometry import Grid, resample, resized_grid, to_axial, working_grid
from StrokeSegLib.preprocess.intensity import ADC_UNITS, dwi_scale, find_adc_unit, network_channels
from StrokeSegLib.preprocess.mr_brain import mr_brain_mask
from StrokeSegLib.preprocess.mr_scale import imagenet_channels, scaled, scaled_adc, scaled_dwi
from StrokeSegLib.systems.base import Prepared, System
from StrokeSegLib.volume import Volume

#: In-plane pixel of the working grid, mm. Finer than most DWI (1.2-2 mm), because the network's finest skip is at half.
IN_PLANE_MM = 1.25
#: Slices nearer than this are averaged, mm; thicker ones stay as they are.
MIN_SLICE_MM = 2.0
#: Slices further apart than this make small lesions invisible: said in the result, mm.
THICK_SLICE_MM = 7.0
#: The sequences that a model may take, in the order of its channels.
SEQUENCES = ("dwi", "adc", "flair", "t1", "t2")

Mode = Literal["diffusion", "any", "rest", "single", "2.5d", "stack"]
#: Modes that take any of their sequences.
SOME_OF_ALL = ("any", "rest")
Arrays = dict[str, NDArray[np.float32]]


def prepare(
    inputs: Mapping[str, Volume],
    *,
    grid: Grid | None = None,
    mode: Mode = "diffusion",
    sequences: Sequence[str] = SEQUENCES,
    sequence: str = "flair",
    in_plane_mm: float | None = IN_PLANE_MM,
    min_slice_mm: float = MIN_SLICE_MM,
    slice_pixels: int | None = None,
) -> Prepared:
    """The sequences as the network sees them.

    ==========  ==============================================================================================
    mode        channels
    ==========  ==============================================================================================
    diffusion   DWI over its median and ADC in um2/ms, both clipped: 2
    any         each of ``sequences`` (DWI and ADC as above, the others scaled by the brain), 0 where it is missing;
                then for each of them one plane of 1 (there) or 0 (missing): 2 a sequence
    rest        as any, but trained on examinations without the pair of DWI and ADC, which a specialist reads
    single      ``sequence``, percentiles 0.5-99.5 of the brain to 0-1, ImageNet's mean and SD: 3
    2.5d        the same once, with the mean of ImageNet's means and SDs; its neighbors are the other planes: 1
    stack       as 2.5d, each of ``sequences``, all needed
    ==========  ==============================================================================================

    Args:
        inputs: Sequences on one grid, any orientation, NaN-free. ADC in any power-of-ten unit.
        grid: The working grid; found from the first sequence when None.
        mode: See the table.
        sequences: What modes ``any``, ``rest`` and ``stack`` take, in the order of the channels.
        sequence: What modes ``single`` and ``2.5d`` take.
        in_plane_mm: Pixel of the working grid; None keeps the image's.
        min_slice_mm: Slices nearer than this are averaged; 0 keeps all.
        slice_pixels: Slices are resized to this square (the paper's 128), whatever the pixel becomes.

    Raises:
        InputError: No brain, an ADC map whose values fit no unit, a sequence or mode that is unknown or missing.
    """
    taken = _taken(inputs, mode, sequences, sequence)
    axial = {role: to_axial(inputs[role]) for role in taken}
    if grid is None:
        first = next(iter(axial.values()))
        grid = working_grid(first, first.spacing_mm[0] if in_plane_mm is None else in_plane_mm, min_slice_mm)
        if slice_pixels is not None:
            grid = resized_grid(grid, (slice_pixels, slice_pixels, grid.size_ijk[2]))
    images: Arrays = {role: resample(volume, grid).array for role, volume in axial.items()}
    notes = _adc_to_um2_per_ms(images)
    if mode == "diffusion":
        dwi, adc = images["dwi"], images["adc"]
        brain = brain_mask(dwi, adc)
        channels = network_channels(dwi, adc, dwi_scale(dwi, adc, brain))
    else:
        brain = find_brain(images, grid.spacing_mm)
        channels = _channels(images, brain, mode, sequences)
    pair = "dwi" in images and "adc" in images
    warnings = list(swapped_doubts(images["dwi"], images["adc"]) if pair else ())
    if "adc_unit" in notes and notes["adc_unit"] not in ADC_UNITS.values():
        warnings.append(
            f"adc was taken to be in {notes['adc_unit']}, which nobody uses: check that it is an ADC map, no picture "
            "of one, and that dwi and adc are not swapped"
        )
    if mode == "rest":
        warnings.extend(_said_without_the_pair(taken))
    if grid.spacing_mm[2] > THICK_SLICE_MM:
        warnings.append(f"slices are {grid.spacing_mm[2]:.1f} mm apart: lesions smaller than that may be missed")
    warnings += size_doubts(brain, grid.spacing_mm, "a scan of the head")
    return Prepared(channels, grid, brain, notes, tuple(warnings))


def find_brain(images: Arrays, spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """The brain in whatever sequences there are: the pair of DWI and ADC tells it best, then T1, FLAIR, T2.

    Raises:
        InputError: None of them shows a brain.
    """
    if "dwi" in images and "adc" in images:
        mask = brain_mask(images["dwi"], images["adc"])
        if mask.any():
            return mask
    for role in ("t1", "flair", "t2", "dwi", "adc"):
        if role in images:
            mask = mr_brain_mask(images[role], spacing_mm)
            if mask.any():
                return mask
    raise InputError(f"{', '.join(images)} show no brain; needed a scan of the head; check the inputs and roles")


def inputs_for(
    mode: Mode = "diffusion", sequences: Sequence[str] = SEQUENCES, sequence: str = "flair", **_: object
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Required and optional inputs of a model that is prepared with these settings."""
    if mode in SOME_OF_ALL:
        return (), tuple(sequences)
    if mode == "stack":
        return tuple(sequences), ()
    return (("dwi", "adc") if mode == "diffusion" else (sequence,)), ()


def _taken(inputs: Mapping[str, Volume], mode: Mode, sequences: Sequence[str], sequence: str) -> tuple[str, ...]:
    """The inputs that the mode looks at, in the order of its channels."""
    if mode not in get_args(Mode):
        raise InputError(f"unknown mode {mode!r} of system mri; known: {', '.join(get_args(Mode))}")
    required, optional = inputs_for(mode, sequences, sequence)
    missing = [role for role in required if role not in inputs]
    there = tuple(role for role in (*required, *optional) if role in inputs)
    if missing or not there:
        got = ", ".join(inputs) or "nothing"
        wanted = ", ".join(missing) or f"any of {', '.join(optional)}"
        raise InputError(f"mode {mode} of system mri needs {wanted}, got {got}; add what is missing")
    return there


def _adc_to_um2_per_ms(images: Arrays) -> dict[str, str]:
    """Brings the ADC map to um2/ms in place; the bright part of the DWI tells the unit, or of the ADC map itself."""
    if "adc" not in images:
        return {}
    unit = find_adc_unit(images["adc"], images.get("dwi", images["adc"]))
    images["adc"] *= np.float32(10.0**unit.power)
    return {"adc_unit": unit.name}


def _said_without_the_pair(roles: Sequence[str]) -> list[str]:
    """What nobody can tell where DWI or ADC is missing."""
    if "dwi" not in roles and "adc" not in roles:
        return ["read without DWI and ADC: infarcts of the first hours hardly show, and old ones are marked, too"]
    if "adc" not in roles:
        return ["read without an ADC map: an old or a bright spot on DWI may pass for an acute infarct"]
    if "dwi" not in roles:
        return ["read without DWI: a dark spot on the ADC map may pass for an acute infarct"]
    return []


def _channels(images: Arrays, brain: NDArray[np.bool_], mode: str, sequences: Sequence[str]) -> NDArray[np.float32]:
    if mode in SOME_OF_ALL:
        result = np.zeros((2 * len(sequences), *brain.shape), np.float32)
        for n, role in enumerate(sequences):
            if role in images:
                result[n] = _any_channel(role, images, brain)
                result[len(sequences) + n] = 1
        return result
    grey = mode != "single"
    return np.concatenate([imagenet_channels(image, brain, grey=grey) for image in images.values()])


def _any_channel(role: str, images: Arrays, brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """One sequence of mode ``any``: ADC is a quantity, DWI a ratio to healthy tissue, the others have no scale."""
    if role == "adc":
        return scaled_adc(images["adc"])
    if role == "dwi":
        inside = brain & (images["dwi"] > 0)
        if "adc" in images:
            low, high = PARENCHYMA_ADC_UM2_PER_MS
            tissue = inside & (images["adc"] > low) & (images["adc"] < high)
            inside = tissue if tissue.any() else inside
        return scaled_dwi(images["dwi"], inside)
    return scaled(images[role], brain)


MRI = System(
    name="mri",
    title="Stroke lesion (MRI)",
    required=(),
    optional=SEQUENCES,
    minimum_inputs=1,
    network="resnet50-unet",
    labels={1: "ischemic lesion"},
    way="slices",
    activation="softmax",
    neighbors=1,
    size_divisor=32,
    window=(),
    overlap=0.0,
    prepare=prepare,
    citation="Aboudi et al., IJCSNS International Journal of Computer Science and Network Security 22(11), 2022",
    choose_inputs=inputs_for,
)
