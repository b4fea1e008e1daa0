"""Blood on CT by place: in the brain with an edema rim, in ventricles, under and over the dura, in the sulci.

Each function gives the part of each voxel that blood fills, 0..1, on the scan's grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from StrokeSegLib.synth.ct_anatomy import Landmarks
from StrokeSegLib.synth.ct_ranges import CtRanges, Range
from StrokeSegLib.synth.fields import Float, blur_mm, fractal_field, smooth_field
from StrokeSegLib.synth.lesion_shapes import grown
from StrokeSegLib.synth.placement import ScanGrid

#: Places of blood, in the order of ``Blood.filled``.
PLACES = ("parenchymal", "ventricular", "subdural", "epidural", "subarachnoid")


@dataclass(frozen=True, eq=False)
class Blood:
    """Drawn blood: the filled part of each voxel by place (only those drawn), and the solid masses that push."""

    filled: dict[str, Float]

    @property
    def masses(self) -> list[Float]:
        """Blood that needs room of its own, rather than taking the fluid's."""
        return [self.filled[place] for place in ("parenchymal", "subdural", "epidural") if place in self.filled]


def draw_places(rng: np.random.Generator, ranges: CtRanges) -> tuple[str, ...]:
    """At least one place of blood."""
    chances = (
        ranges.parenchymal_chance,
        ranges.ventricular_chance,
        ranges.subdural_chance,
        ranges.epidural_chance,
        ranges.subarachnoid_chance,
    )
    while True:
        drawn = [place for place, chance in zip(PLACES, chances, strict=True) if rng.random() < chance]
        if drawn:
            break
        if sum(chances) <= 0:
            return ("parenchymal",)
    if "parenchymal" in drawn and "ventricular" not in drawn and rng.random() < ranges.ventricular_chance:
        drawn.append("ventricular")
    return tuple(drawn)


def log_uniform(rng: np.random.Generator, bounds: Range) -> float:
    """A draw that is as likely between 1 and 2 as between 10 and 20."""
    return float(np.exp(rng.uniform(*np.log(bounds))))


def parenchymal(rng: np.random.Generator, grid: ScanGrid, parenchyma: Float, ranges: CtRanges) -> Float:
    """One hematoma; now and then several small ones, as after trauma."""
    volume_ml = log_uniform(rng, ranges.parenchymal_ml)
    count = 1 if rng.random() < 1 - ranges.several_hematomas_chance else int(rng.integers(2, 6))
    total = np.zeros(grid.shape, np.float32)
    for _ in range(count):  # each beside the others, so that their volumes add up
        total = np.maximum(total, grown(rng, grid, parenchyma * (total < 0.5), volume_ml / count))
    return total


def ventricular(rng: np.random.Generator, grid: ScanGrid, ventricle: Float) -> Float:
    """Blood that fills the ventricles up to a level (the patient lies on the back), or a cast of some of them."""
    inside = ventricle > 0.25
    if not inside.any():
        return np.zeros(grid.shape, np.float32)
    rows = np.nonzero(inside)[1]
    if rng.random() < 0.65:
        level = np.quantile(rows, 1 - rng.uniform(0.04, 0.5))
        below = np.clip(np.arange(grid.shape[1], dtype=np.float32) - np.float32(level) + 0.5, 0, 1)[None, :, None]
        return np.asarray(ventricle * below, np.float32)
    clot = smooth_field(rng, grid.shape, grid.spacing_mm, 25.0) + np.float32(rng.uniform(-0.6, 1.5))
    return np.asarray(ventricle * np.clip(clot * 3, 0, 1), np.float32)


def extra_axial(
    rng: np.random.Generator,
    grid: ScanGrid,
    depth_mm: Float,
    marks: Landmarks,
    *,
    thickness_mm: float,
    radius_mm: Range,
    lens: bool,
) -> Float:
    """A layer under the inner table, see ``layer_mm``."""
    layer = layer_mm(rng, grid, depth_mm, marks, thickness_mm=thickness_mm, radius_mm=radius_mm, lens=lens)
    inside = np.clip((layer - depth_mm) / np.float32(grid.spacing_mm[0]) + 0.5, 0, 1)
    return np.asarray(inside * (depth_mm > -0.5) * (layer > 0), np.float32)


def layer_mm(
    rng: np.random.Generator,
    grid: ScanGrid,
    depth_mm: Float,
    marks: Landmarks,
    *,
    thickness_mm: float,
    radius_mm: Range,
    lens: bool,
    among: NDArray[np.bool_] | None = None,
) -> Float:
    """How thick a layer is at each voxel: a crescent over much of one side (subdural) or a lens (epidural).

    The layer is ``thickness_mm`` deep at its middle and thins out to nothing ``radius_mm`` away from it.

    Args:
        among: Where its middle may lie; anywhere above the skull base when None.
    """
    height = grid.head_mm[2]
    places = (depth_mm > 0) & (depth_mm < 4) & (height > marks.center_mm[2] - 25)
    seeds = np.argwhere(places if among is None else places & among)
    if len(seeds) == 0:
        return np.zeros(grid.shape, np.float32)
    at = seeds[rng.integers(len(seeds))]
    center = grid.head_mm[:, at[0], at[1], at[2]]
    distance = np.sqrt(((grid.head_mm - center[:, None, None, None]) ** 2).sum(axis=0))
    distance *= 1 + np.float32(0.12) * smooth_field(rng, grid.shape, grid.spacing_mm, 30.0)
    near = np.clip(1 - (distance / np.float32(rng.uniform(*radius_mm))) ** 2, 0, 1)
    # A lens is bounded by the sutures: steep; a crescent spreads and keeps its thickness until its tips.
    profile = near if lens else np.sqrt(near)
    one_side = (grid.head_mm[0] > marks.midline_mm) == (center[0] > marks.midline_mm)
    return np.asarray(thickness_mm * profile * one_side, np.float32)


def falcine(rng: np.random.Generator, grid: ScanGrid, depth_mm: Float, marks: Landmarks, thickness_mm: float) -> Float:
    """A thin layer along the falx, on one side of the midline."""
    side = (grid.head_mm[0] - np.float32(marks.midline_mm)) * np.float32(1 if rng.random() < 0.5 else -1)
    step = np.float32(grid.spacing_mm[0])
    sheet = np.clip((thickness_mm - side) / step + 0.5, 0, 1) * np.clip(side / step + 0.5, 0, 1)
    part = smooth_field(rng, grid.shape, grid.spacing_mm, 50.0) > rng.uniform(-0.8, 0.6)
    above = grid.head_mm[2] > marks.center_mm[2] + 8
    return np.asarray(sheet * part * above * (depth_mm > 0) * (depth_mm < 35), np.float32)


def subarachnoid(rng: np.random.Generator, grid: ScanGrid, fluid: Float, ventricle: Float, reach_mm: Range) -> Float:
    """Blood mixed with the fluid of sulci and cisterns around one or two centers."""
    outer = fluid * (ventricle < 0.2)
    seeds = np.argwhere(outer > 0.6)
    if len(seeds) == 0:
        return np.zeros(grid.shape, np.float32)
    total = np.zeros(grid.shape, np.float32)
    for _ in range(int(rng.integers(1, 3))):
        at = seeds[rng.integers(len(seeds))]
        squared = ((grid.head_mm - grid.head_mm[:, at[0], at[1], at[2]][:, None, None, None]) ** 2).sum(axis=0)
        total = np.maximum(total, np.exp(-squared / np.float32(2 * log_uniform(rng, reach_mm) ** 2)))
    uneven = np.clip(1.2 + 0.5 * smooth_field(rng, grid.shape, grid.spacing_mm, 15.0), 0, 1.5)
    return np.asarray(outer * np.clip(total * uneven * 1.4 - 0.1, 0, 1), np.float32)


def draw_blood(
    rng: np.random.Generator,
    places: tuple[str, ...],
    grid: ScanGrid,
    depth_mm: Float,
    marks: Landmarks,
    parenchyma: Float,
    ranges: CtRanges,
) -> Blood:
    """Blood that does not depend on how the brain gives way: all places but those that fill fluid spaces."""
    filled: dict[str, Float] = {}
    if "parenchymal" in places:
        # Voxels that bone may fill by half have no room for blood.
        clear = depth_mm > min(grid.spacing_mm[2] / 2, 1.5)
        filled["parenchymal"] = parenchymal(rng, grid, parenchyma * clear, ranges)
    if "subdural" in places:
        thickness = log_uniform(rng, ranges.subdural_mm)
        if rng.random() < ranges.falcine_chance:
            filled["subdural"] = falcine(rng, grid, depth_mm, marks, min(thickness, 4.0))
        else:
            filled["subdural"] = extra_axial(
                rng, grid, depth_mm, marks, thickness_mm=thickness, radius_mm=(45, 95), lens=False
            )
    if "epidural" in places:
        thickness = float(rng.uniform(*ranges.epidural_mm))
        radius = (1.1 * thickness + 8, 1.8 * thickness + 15)
        filled["epidural"] = extra_axial(
            rng, grid, depth_mm, marks, thickness_mm=thickness, radius_mm=radius, lens=True
        )
    return Blood(filled)


def blood_hu(rng: np.random.Generator, grid: ScanGrid, ranges: CtRanges) -> Float:
    """HU of blood at every voxel: its level and its unevenness, within the limits."""
    pale = rng.random() < ranges.pale_blood_chance
    level = rng.uniform(*(ranges.pale_blood_hu if pale else ranges.blood_hu))
    uneven = rng.uniform(*ranges.blood_texture_hu) * fractal_field(rng, grid.shape, grid.spacing_mm, 12.0)
    return np.asarray(np.clip(level + uneven, *ranges.blood_limits_hu), np.float32)


def edema(rng: np.random.Generator, hematoma: Float, parenchyma: Float, grid: ScanGrid, ranges: CtRanges) -> Float:
    """HU (positive) that the brain loses around a hematoma, deepest at its border."""
    reach = rng.uniform(*ranges.edema_mm)
    away = ndimage.distance_transform_edt(hematoma < 0.5, sampling=grid.spacing_mm[::-1]).astype(np.float32)
    rough = 1 + 0.25 * smooth_field(rng, grid.shape, grid.spacing_mm, 10.0)
    rim = np.clip(1 - away / (reach * np.clip(rough, 0.4, 1.8)), 0, 1) ** 0.7
    drop = np.float32(rng.uniform(*ranges.edema_drop_hu))
    return np.asarray(blur_mm(rim, grid.spacing_mm, 2.0) * drop * parenchyma * (1 - hematoma), np.float32)


def pushed(grid: ScanGrid, masses: list[Float], depth_mm: Float, strength: float) -> Float:
    """Positions after the brain gave way to masses: material around each moves outward, less near the skull.

    A ball of the mass's volume opens at its center: what lay at radius q is found at ``(q^3 + R^3)^(1/3)``.
    """
    position = grid.head_mm
    voxel_mm3 = float(np.prod(grid.spacing_mm))
    for mass in masses:
        where = np.argwhere(mass > 0.5)
        if len(where) == 0:
            continue
        at = where.mean(axis=0).round().astype(int)
        radius = (3 * len(where) * voxel_mm3 / (4 * np.pi)) ** (1 / 3)
        offset = grid.head_mm - grid.head_mm[:, at[0], at[1], at[2]][:, None, None, None]
        far = np.sqrt((offset**2).sum(axis=0)) + np.float32(1e-3)
        before = np.cbrt(np.maximum(far**3 - np.float32(radius**3), 0))
        # The push ends within some radii and at the skull.
        soft = np.clip(depth_mm / np.float32(15), 0, 1)
        share = np.float32(strength) * soft * np.clip(1.5 - far / np.float32(4 * radius + 20), 0, 1)
        position = position - offset * (share * (far - before) / far)
    return np.asarray(position, np.float32)
