"""What fills a procedural skull: hemispheres with folded cortex, deep gray matter, ventricles, hindbrain, cisterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import Tissue
from StrokeSegLib.synth.fields import Float
from StrokeSegLib.synth.shapes import ellipsoid_depth, fold_distance, tube_depth, turned

Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Points:
    """Points inside the skull, each array of shape ``(N,)``.

    Attributes:
        x: Atlas mm, to the left; ``y`` to the front, ``z`` up.
        skull: Depth under the inner table, mm.
        wobble: A smooth field of unit spread over about 20 mm.
    """

    x: Float
    y: Float
    z: Float
    skull: Float
    wobble: Float


def fill_brain(rng: np.random.Generator, at: Points, age: float) -> Labels:
    """Tissue of each point inside the skull; ``age``, 0 to 1, tells how wide sulci and ventricles are."""
    side, y, z = np.abs(at.x), at.y, at.z
    tissue = np.full(side.shape, Tissue.CSF, np.uint8)
    behind = -y - (16 + 0.75 * np.maximum(side - 16, 0))  # how far behind the petrous ridge
    # A tent: steep beside its ridge, flat above the hemispheres of the cerebellum, lower at the back.
    tentorium = -4 - 20 * (1 - np.exp(-side / 18)) - 0.1 * side + 0.20 * np.minimum(y + 45, 0)
    tentorium -= 0.2 * np.clip(side - 25, 0, 25) * np.exp(-behind / 25)
    above_tentorium = z - tentorium
    stem = _brainstem_depth(side, y, z) + 0.3 * at.wobble
    room = np.minimum(np.minimum(at.skull, -above_tentorium) - 0.7 - 0.5 * age, -stem - 1.5)
    _cerebellum(rng, tissue, at, room, age)
    room = np.minimum(at.skull - (1.2 + 1.4 * age), above_tentorium + 2.0 * np.maximum(-behind, 0) - (0.7 + 0.4 * age))
    # The cisterns around the brainstem and above the sella.
    around_stem = np.where(z < -7, -stem - (0.9 + 1.3 * age), 99.0)
    basal = np.minimum(around_stem, -ellipsoid_depth(side, y - 1, z + 17, (9, 12, 8)))
    _cerebrum(rng, tissue, at, np.minimum(room, basal), age)
    _brainstem(tissue, side, y, z, stem)
    _deep_gray(tissue, side, y, z, at.wobble)
    _ventricles(tissue, at, 0.9 + 0.85 * age)
    sinus = (side + 0.9 * at.skull < 6) & (at.skull < 5) & (z > -5 + 0.1 * y) & ((y < 40) | (z > 30))
    tissue[sinus] = Tissue.VESSEL
    return tissue


def _cerebrum(rng: np.random.Generator, tissue: Labels, at: Points, room: Float, age: float) -> None:
    """White matter under a folded ribbon of gray, with the great fissures and the insula, where there is ``room``."""
    x, y, z, wobble = at.x, at.y, at.z, at.wobble
    # Inside this ellipsoid the hemispheres join: corpus callosum and what lies under it.
    core = ellipsoid_depth(x * 0, y + 4, z - 2, (99, 36, 24))
    gap = 0.5 + 0.7 * age
    fissure = np.hypot(np.maximum(np.abs(x + 0.8 * wobble) - gap, 0), np.maximum(core, 0))
    fissure = np.where(core < 0, np.abs(x + 0.8 * wobble) - gap, fissure)
    depth = np.minimum(room, fissure)
    keep = np.flatnonzero(depth > 0)
    at = _chosen(at, keep)
    depth, core, side = depth[keep], core[keep], np.abs(at.x)
    sylvian = _sylvian_distance(side, at.y, at.z) - (0.4 + 0.9 * age)
    # No sulcus cuts into the block of the basal ganglia.
    block = ellipsoid_depth(side - 18, at.y + 3, at.z - 2, (22, 27, 21))
    folds = np.minimum(np.maximum(_sulcus_distance(rng, at, depth, age), block), sylvian)
    to_csf = np.minimum(depth, folds)
    cortex = rng.uniform(2.2, 2.6) + 0.2 * at.wobble
    callosum = (core > -3.0) & (side < 9)
    part = np.full(side.shape, Tissue.WHITE_MATTER, np.uint8)
    part[(to_csf < cortex) & ~callosum] = Tissue.CORTEX
    part[(to_csf < 0) & ~callosum] = Tissue.CSF
    tissue[keep] = part


def _chosen(at: Points, index: NDArray[np.intp]) -> Points:
    return Points(at.x[index], at.y[index], at.z[index], at.skull[index], at.wobble[index])


def _sulcus_distance(rng: np.random.Generator, at: Points, depth: Float, age: float) -> Float:
    """Distance (mm) to the nearest sulcus, deep ones and between them shallow ones; negative in its CSF."""
    distance = np.full(depth.shape, 99.0, np.float32)
    reach = rng.uniform(13, 17) + 3.5 * at.wobble
    index = np.flatnonzero(depth < reach + 4)
    at, depth, reach = _chosen(at, index), depth[index], reach[index]
    x, y, z = at.x, at.y, at.z
    # Sulci run from the surface towards an axis in the middle of each hemisphere.
    ray = (np.sign(x) * (np.abs(x) - 30), 0.3 * (y + 18), 0.6 * (z - 14))
    length = np.sqrt(sum(r * r for r in ray)) + np.float32(1e-3)
    normal = (ray[0] / length, ray[1] / length, ray[2] / length)
    surface = (x + normal[0] * depth, y + normal[1] * depth, z + normal[2] * depth)
    narrowing = np.sqrt(length / (length + depth))  # the rays come together in the depth
    cleft = 0.15 + 0.6 * age + (0.25 + 0.2 * age) * at.wobble
    for wave_mm, deep in ((rng.uniform(29, 33), reach), (rng.uniform(20, 23), 0.3 * reach)):
        lines = fold_distance(rng, surface, normal, wave_mm) * narrowing
        width = cleft * np.clip(1.15 - depth / (1.3 * deep), 0.2, 1.0)
        distance[index] = np.minimum(distance[index], np.hypot(lines, np.maximum(depth - deep, 0)) - width)
    return distance


def _sylvian_distance(side: Float, y: Float, z: Float) -> Float:
    """Distance (mm) to the lateral fissure: a sheet that rises to the back and ends on the one before the insula."""
    floor = -6 - 0.38 * (y + 5)
    along = np.maximum(np.abs(y + 8) - 30, 0)
    opening = np.sqrt((z - floor) ** 2 + np.maximum(40 - side, 0) ** 2 + along**2)
    insula_side = 38.5 - 0.012 * (y - 2) ** 2 - 0.01 * (z - 2) ** 2
    high, front = np.maximum(np.abs(z - 1 + 0.2 * y) - 13, 0), np.maximum(np.abs(y - 1) - 20, 0)
    insula = np.sqrt((side - insula_side) ** 2 + high**2 + front**2)
    return np.asarray(np.minimum(opening, insula), np.float32)


def _deep_gray(tissue: Labels, side: Float, y: Float, z: Float, wobble: Float) -> None:
    """Thalamus, lentiform nucleus and caudate with the internal capsule between them; hippocampus and amygdala."""
    edge = 0.35 * wobble
    lateral, front = turned(side - 26.5, y - 1, -14)
    # A lens: flat towards the insula's white matter, pointed to the middle below.
    putamen = ellipsoid_depth(lateral - 0.1 * (z - 2), front, z - 2, (6.6, 18, 12.5)) + edge
    lateral, front = turned(side - 19.0, y + 4, -22)
    pallidum = ellipsoid_depth(lateral, front, z + 1, (4.8, 10.5, 7.5)) + edge
    lateral, front = turned(side - 11.5, y + 18, -22)
    thalamus = ellipsoid_depth(lateral, front, z - 7, (9.6, 16.5, 10)) + edge
    caudate = tube_depth(
        side,
        y,
        z,
        [
            (11.0, 9, -5, 6.0),
            (13.0, 15, 2, 6.8),
            (14.5, 12, 11, 6.4),
            (15.5, 2, 17, 4.4),
            (18, -14, 20, 3.2),
            (23, -27, 17, 2.2),
        ],
    )
    hippocampus = tube_depth(side, y, z, [(23, -9, -21, 6.2), (27, -20, -17, 5.8), (30, -30, -9, 4.8), (25, -38, 0, 3)])
    amygdala = ellipsoid_depth(side - 22.5, y + 3, z + 19, (7.5, 7, 7)) + edge
    white = tissue != Tissue.CSF
    # The internal capsule: a few mm of white matter around the lentiform nucleus, medially.
    apart = np.maximum(putamen, pallidum) < -2.2
    tissue[(thalamus > 0) & apart & white] = Tissue.DEEP_GRAY
    tissue[(caudate + edge > 0) & apart & white] = Tissue.DEEP_GRAY
    for depth in (putamen, amygdala):
        tissue[(depth > 0) & white] = Tissue.DEEP_GRAY
    tissue[hippocampus + edge > 0] = Tissue.DEEP_GRAY
    tissue[(pallidum > 0) & white] = Tissue.PALLIDUM


def _ventricles(tissue: Labels, at: Points, width: float) -> None:
    """Lateral ventricles with their horns and plexus, third ventricle; the fourth comes with the brainstem."""
    side, y, z, wobble = np.abs(at.x), at.y, at.z, at.wobble
    lateral = [
        (10, 32, 2, 2.6),
        (8.5, 20, 8, 4.8),
        (7.5, 6, 14, 4.8),
        (8, -10, 19, 4.2),
        (14, -24, 19, 4.6),
        (24, -38, 12, 5.8),
    ]
    horn = [(24, -38, 12, 5.8), (25, -50, 7, 4.0), (23, -66, 5, 2.0)]
    temporal = [(24, -38, 12, 5.0), (31, -37, 0, 3.4), (34.5, -27, -11, 2.2), (34, -14, -19, 1.9)]
    edge = 0.4 * wobble
    inside = np.full(side.shape, False)
    for path in (lateral, horn, temporal):
        points = [(px, py, pz, r * width) for px, py, pz, r in path]
        inside |= tube_depth(side, y, z, points) + edge > 0
    inside &= side > 1.2  # the septum
    tissue[inside] = Tissue.CSF
    plexus = tube_depth(side, y, z, [(7, -6, 17, 1.0), (15, -26, 17, 1.6), (24, -38, 9, 2.8), (31, -36, 0, 1.6)])
    tissue[(plexus > 0) & inside] = Tissue.CHOROID_PLEXUS
    tissue[ellipsoid_depth(side, y + 12, z + 1, (1.8 * width, 15, 10)) + 0.15 * wobble > 0] = Tissue.CSF


def _brainstem_depth(side: Float, y: Float, z: Float) -> Float:
    """Depth (mm) in ventral diencephalon, midbrain with its peduncles, pons and medulla; negative outside."""
    parts = [
        ellipsoid_depth(side - 9, y + 13, z + 6, (9.5, 9, 6)),
        tube_depth(side, y, z, [(15, -12, -2, 6.5), (11, -18, -12, 7.0), (6, -24, -24, 8)]),  # peduncle
        ellipsoid_depth(side, y + 29, z + 11, (13.5, 10.5, 12)),  # tegmentum and tectum
        ellipsoid_depth(side, y + 26, z + 33, (19.5, 14, 15)),  # pons
        tube_depth(side, y, z, [(2, -33, -42, 10), (1.5, -40, -56, 8), (0, -44, -70, 6), (0, -44, -90, 5.5)]),
    ]
    depth: Float = np.max(parts, axis=0)
    return depth


def _brainstem(tissue: Labels, side: Float, y: Float, z: Float, stem: Float) -> None:
    """The brainstem with fourth ventricle and aqueduct."""
    tissue[stem > 0] = Tissue.BRAINSTEM
    tissue[ellipsoid_depth(side, y + 42 + 0.5 * np.maximum(side - 2, 0), z + 33, (6.5, 4.5, 11)) > 0] = Tissue.CSF
    tissue[tube_depth(side, y, z, [(0, -29, -6, 1.0), (0, -36, -22, 1.2)]) > 0] = Tissue.CSF  # aqueduct


def _cerebellum(rng: np.random.Generator, tissue: Labels, at: Points, room: Float, age: float) -> None:
    """Hemispheres and vermis: gray folia over a tree of white matter, fine clefts of CSF between."""
    side, y, z, wobble = np.abs(at.x), at.y, at.z, at.wobble
    hemisphere = ellipsoid_depth(side - 22, y + 64, z + 34, (34, 31, 29))
    vermis = ellipsoid_depth(side, y + 61, z + 24, (13, 27, 26))
    depth = np.minimum(np.maximum(hemisphere, vermis) + 0.5 * wobble, room)
    keep = np.flatnonzero(depth > 0)
    side, y, z, depth, wobble = side[keep], y[keep], z[keep], depth[keep], wobble[keep]
    # Leaves fan out around the root behind the fourth ventricle.
    root_y, root_z = y + 52 + 0.10 * side, z + 36
    radius = np.hypot(root_y, root_z) + np.float32(1e-3)
    angle = np.arctan2(root_z, -root_y) + 0.05 * wobble + 0.004 * side

    def sheets(count: int) -> Float:
        """Distance (mm) to the nearest of ``count`` half planes through the root's axis."""
        phase = angle * np.float32(count / (2 * np.pi))
        distance: Float = np.abs(phase - np.rint(phase)) * np.float32(2 * np.pi / count) * radius
        return distance

    core = ellipsoid_depth(side - 19, y + 55, z + 37, (17, 10, 7)) + 0.6 * wobble
    lobes, folia = int(rng.integers(10, 13)), int(rng.integers(28, 34))
    branch = np.clip(0.4 + 0.1 * depth, 0.5, 1.4)
    part = np.full(depth.shape, Tissue.CEREBELLUM_GRAY, np.uint8)
    part[(depth < 5) & (sheets(lobes) < 0.1 + 0.3 * age) & (core < 0)] = Tissue.CSF
    part[(depth < 2.0) & (sheets(folia) < 0.1 + 0.25 * age) & (core < 0)] = Tissue.CSF
    shifted = angle + np.float32(np.pi / lobes)
    phase = shifted * np.float32(lobes / (2 * np.pi))
    stem = np.abs(phase - np.rint(phase)) * np.float32(2 * np.pi / lobes) * radius
    part[(depth > 3.2) & (stem < branch)] = Tissue.CEREBELLUM_WHITE
    part[core > 0] = Tissue.CEREBELLUM_WHITE
    tissue[keep] = part
    peduncle = tube_depth(np.asarray(side), y, z, [(13, -29, -34, 6.5), (24, -48, -36, 6.0)])
    tissue[keep[peduncle > 0]] = Tissue.CEREBELLUM_WHITE
