"""Perfusion maps with known core and penumbra: units, missing CT, few slices, resize and back, the rule of 6 s."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_ct import BONE, ball, dice, positions
from test_predict import CARD, quiet

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.predict import predict
from StrokeSegLib.models import ModelCard
from StrokeSegLib.preprocess.perfusion_maps import time_divisor
from StrokeSegLib.report.measurements import perfusion_measures
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.systems.ct_perfusion import CHANNELS, add_penumbra, delayed, standardized
from StrokeSegLib.volume import Volume

SYSTEM = SYSTEMS["ct-perfusion"]
MAPS = CHANNELS[1:]


def slab(
    slices: int = 8, spacing_mm: tuple[float, float, float] = (1.5, 1.5, 5.0), *, skull: bool = True
) -> tuple[dict[str, Volume], np.ndarray]:
    """A slab of brain (radius 65 mm), a core (22 mm) within a penumbra (35 mm) on the left.

    Returns:
        CT and maps, and the labels (1 core, 3 penumbra).
    """
    blank, position = positions(spacing_mm, np.eye(3), (180.0, 180.0, slices * spacing_mm[2]))
    in_plane = position * [1, 1, 0]  # cylinders: the same in each slice
    brain = ball(in_plane, (0, 0, 0), 65)
    labels = np.zeros(brain.shape, np.uint8)
    labels[ball(in_plane, (25, 0, 0), 35) & brain] = 3
    labels[ball(in_plane, (25, 0, 0), 22)] = 1
    values = {  # healthy, penumbra, core
        "cbf": (50, 25, 8),
        "cbv": (3.5, 3.5, 1.2),
        "mtt": (4.5, 8.5, 10),
        "tmax": (1.5, 8, 11),
    }
    images = {}
    for role, (healthy, at_risk, dead) in values.items():
        image = np.select([labels == 1, labels == 3, brain], [dead, at_risk, healthy], 0.0).astype(np.float32)
        images[role] = blank.with_array(image)
    ct = np.where(brain, 34.0, 0.0).astype(np.float32)
    if skull:
        ct[~brain] = -1000
        ct[ball(in_plane, (0, 0, 0), 71) & ~brain] = BONE
    return {"ct": blank.with_array(ct), **images}, labels


class LowCbf:
    """Core where the standardized CBF is below -1.5; writes down the shapes it saw."""

    name, device = "low cbf", "cpu"

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.shapes.append(batch.shape)
        assert batch.shape[1] == 5
        return np.where(batch[:, 1:2] < -1.5, 10.0, -10.0).astype(np.float32)


def card(prepare: dict[str, object] | None = None, **inference: object) -> ModelCard:
    return replace(CARD, system="ct-perfusion", prepare_settings=prepare or {}, inference_settings=inference)


#: Mean and SD that put core (8) at -1.9, penumbra (25) at -1.0 and healthy brain (50) at 0.3.
STATS = {"cbf": [44.0, 19.0]}


@pytest.mark.parametrize("slices", [1, 2, 22])
@pytest.mark.parametrize("settings", [{"stats": STATS}, {"stats": STATS, "size": [32, 128, 128]}], ids=["own", "paper"])
def test_the_core_comes_back_on_the_inputs_own_grid(settings: dict[str, object], slices: int) -> None:
    images, labels = slab(slices)
    network = LowCbf()
    found = predict(images, card(settings, window=[32, 128, 128], overlap=0.0), SYSTEM, network, quiet)
    p = found.probability[1]
    assert p.same_grid(images["ct"])
    assert dice(p.array > 0.5, labels == 1) > 0.95
    truth_ml = (labels == 1).sum() * p.voxel_volume_ml
    # Resized and back, the volume is kept to within a few percent (a cylinder's edge passes between pixels).
    assert (p.array > 0.5).sum() * p.voxel_volume_ml == pytest.approx(truth_ml, rel=0.03)
    assert {shape[2:] for shape in network.shapes} == {(32, 128, 128)}


def test_resizing_a_slab_keeps_its_box() -> None:
    images, _ = slab(3)
    grid = SYSTEM.prepare(images, size=[32, 128, 128]).grid
    assert grid.size_ijk == (128, 128, 32)
    for axis, (n, mm) in enumerate(zip(images["ct"].size_ijk, images["ct"].spacing_mm, strict=True)):
        assert grid.size_ijk[axis] * grid.spacing_mm[axis] == pytest.approx(n * mm)


def test_slices_are_kept_as_they_are() -> None:
    images, _ = slab(2)
    assert SYSTEM.prepare(images).channels.shape[:2] == (5, 2)


def test_without_ct_its_channel_is_zeros_and_it_is_said() -> None:
    images, _ = slab()
    maps = {role: images[role] for role in MAPS}
    prepared = SYSTEM.prepare(maps)
    assert not prepared.channels[0].any()
    assert any("no ct" in warning for warning in prepared.warnings)
    with_ct = SYSTEM.prepare(images)
    assert with_ct.warnings == ()
    both = prepared.brain & with_ct.brain
    assert both.sum() > 0.95 * prepared.brain.sum()
    assert np.allclose(prepared.channels[1:, both], with_ct.channels[1:, both], atol=0.2)


@pytest.mark.parametrize("skull", [True, False])
def test_the_brain_is_where_the_maps_are(skull: bool) -> None:
    images, _ = slab(4, skull=skull)
    prepared = SYSTEM.prepare(images, in_plane_mm=None)
    assert dice(prepared.brain, images["cbf"].array > 0) > 0.97


@pytest.mark.parametrize(("factor", "unit"), [(1, "s"), (10, "0.1 s"), (1000, "ms")])
def test_times_in_other_units_are_recognized(factor: int, unit: str) -> None:
    images, labels = slab()
    # 11 s are 110 tenths, and no scan lasts 110 s.
    other = {**images, "tmax": images["tmax"].with_array(images["tmax"].array * factor)}
    a, b = SYSTEM.prepare(images), SYSTEM.prepare(other)
    assert b.notes["tmax_unit"] == unit
    assert np.allclose(a.channels, b.channels, atol=1e-4)
    assert len(b.warnings) == (factor != 1)
    brain = images["cbf"].with_array(images["cbf"].array > 0)
    core = images["cbf"].with_array((labels == 1).astype(np.uint8))
    assert np.array_equal(add_penumbra(delayed(other, brain), core).array, labels)


def test_implausible_maps_are_warned_of() -> None:
    images, _ = slab()
    swapped = {**images, "cbf": images["cbv"], "cbv": images["cbf"]}
    warnings = " ".join(SYSTEM.prepare(swapped).warnings)
    assert "cbf has a median of 3.5" in warnings
    assert "cbv has a median of 50" in warnings


def test_a_large_infarct_moves_the_scale_little() -> None:
    healthy = np.linspace(30, 70, 1000).astype(np.float32)
    with_core = healthy.copy()
    with_core[:40] = 0
    assert np.abs(standardized(with_core)[40:] - standardized(healthy)[40:]).max() < 0.2


def test_the_penumbra_is_late_tissue_outside_the_core() -> None:
    images, labels = slab()
    brain = images["cbf"].with_array(images["cbf"].array > 0)
    core = images["cbf"].with_array((labels == 1).astype(np.uint8))
    found = add_penumbra(delayed(images, brain), core)
    assert np.array_equal(found.array, labels)


def test_specks_and_what_lies_outside_the_brain_are_no_penumbra() -> None:
    images, labels = slab()
    tmax = images["tmax"].array.copy()
    tmax[:, :8, :8] = 20  # outside the brain
    tmax[4, 60, 20:24] = 20  # 4 voxels of 0.011 mL
    brain = images["cbf"].with_array(images["cbf"].array > 0)
    core = images["cbf"].with_array((labels == 1).astype(np.uint8))
    late = delayed({**images, "tmax": images["tmax"].with_array(tmax)}, brain)
    assert np.array_equal(add_penumbra(late, core).array, labels)


def test_mismatch_by_hand() -> None:
    assert perfusion_measures(20, 60) == {
        "core_ml": 20, "penumbra_ml": 60, "mismatch_ml": 60, "mismatch_ratio": 4.0,
    }  # fmt: skip
    assert perfusion_measures(0, 12.5)["mismatch_ratio"] is None


def test_nothing_in_the_maps_is_refused() -> None:
    images, _ = slab(2)
    empty = {role: volume.with_array(volume.array * 0) for role, volume in images.items()}
    with pytest.raises(InputError, match="maps show no brain"):
        SYSTEM.prepare(empty)


def test_nan_counts_as_no_value() -> None:
    images, _ = slab(2)
    holes = {r: v.with_array(np.where(images["cbf"].array > 0, v.array, np.nan)) for r, v in images.items()}
    assert np.isfinite(SYSTEM.prepare(holes).channels).all()


def test_no_time_at_all_is_seconds() -> None:
    assert time_divisor(np.zeros(0, np.float32)) == (1.0, "s")
