"""Every system prepares what its networks see, on its own grid, from any orientation; settings are data."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from synthetic_ct import ct_head, dice

from StrokeSegLib.errors import InputError
from StrokeSegLib.networks import NETWORKS
from StrokeSegLib.preprocess.geometry import grid_of, resample
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.systems.base import Prepared, prepare_inputs
from StrokeSegLib.volume import Volume

OBLIQUE = Rotation.from_euler("xyz", [15, 5, -9], degrees=True).as_matrix()


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_is_whole(name: str) -> None:
    system = SYSTEMS[name]
    assert system.name == name
    assert system.network in NETWORKS
    assert set(system.labels) | set(system.rule_labels) <= {1, 2, 3}
    assert (len(system.window) == 3) == (system.way == "windows")
    assert all(n % system.size_divisor == 0 for n in system.window)
    assert system.minimum_inputs >= max(1, len(system.required))


def test_names_are_those_of_the_command_line() -> None:
    assert set(SYSTEMS) == {"mri", "noncontrast-ct", "three-projection", "ct-perfusion"}


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"know no colour; known: brain, norm"):
        prepare_inputs(SYSTEMS["noncontrast-ct"], {}, {"colour": 1})


def covered(prepared: Prepared, mask: np.ndarray, image: Volume) -> float:
    """Dice of the prepared brain with a mask, on the image's grid."""
    grid = prepared.grid
    brain = Volume(prepared.brain.astype(np.float32), grid.spacing_mm, grid.origin, grid.direction)
    on_image = resample(brain, grid_of(image)).array > 0.5
    return dice(on_image, mask)


CT_SETTINGS = {
    "ours": ("noncontrast-ct", {}),
    "paper": (
        "noncontrast-ct",
        {"brain": "components", "norm": "zscore_minmax_grey", "in_plane_mm": None, "min_slice_mm": 0},
    ),
    "minmax": ("noncontrast-ct", {"norm": "minmax_brain"}),
    "three planes": ("three-projection", {}),
    "three planes, paper": ("three-projection", {"slice_pixels": 512, "in_plane_mm": None, "min_slice_mm": 0}),
    "three windows": ("three-projection", {"windows_hu": [[0, 80], [15, 55], [-20, 180]]}),
}


@pytest.mark.parametrize("name", CT_SETTINGS)
def test_ct_is_prepared(name: str) -> None:
    system, settings = CT_SETTINGS[name]
    ct, brain, _ = ct_head((1.5, 1.5, 12.0 if "slice_pixels" in settings else 4.0), OBLIQUE if name == "ours" else None)
    prepared = prepare_inputs(SYSTEMS[system], {"ct": ct}, json.loads(json.dumps(settings)))
    assert prepared.channels.dtype == np.float32
    assert prepared.channels.shape[1:] == prepared.brain.shape == prepared.grid.size_ijk[::-1]
    assert covered(prepared, brain, ct) > 0.93


def test_three_planes_need_thin_slices() -> None:
    thick, _, _ = ct_head((1.5, 1.5, 4.0))
    thin, _, _ = ct_head((1.0, 1.0, 2.0))
    prepare = SYSTEMS["three-projection"].prepare
    assert prepare({"ct": thick}).isotropic is None
    isotropic = prepare({"ct": thin}).isotropic
    assert isotropic is not None
    assert isotropic.grid.spacing_mm == (1.0, 1.0, 1.0)
    assert isotropic.grid.size_ijk[2] == 2 * thin.size_ijk[2]


def test_windows_of_hounsfield_units_become_0_to_1() -> None:
    ct, _, labels = ct_head((1.0, 1.0, 4.0), dark_hu=20.0)
    settings = {"windows_hu": [[0, 80], [15, 55]], "in_plane_mm": None, "min_slice_mm": 0}
    channels = prepare_inputs(SYSTEMS["three-projection"], {"ct": ct}, settings).channels
    assert channels.shape == (2, *ct.array.shape)
    assert channels[0][labels == 1] == pytest.approx(20 / 80)  # by hand
    assert channels[1][labels == 1] == pytest.approx((20 - 15) / 40)
    assert channels.min() == 0
    assert channels.max() == 1


def test_the_papers_slices_are_512_pixels_about_the_same_middle() -> None:
    ct, _, _ = ct_head((1.5, 1.5, 24.0))
    settings = CT_SETTINGS["three planes, paper"][1]
    prepared = prepare_inputs(SYSTEMS["three-projection"], {"ct": ct}, settings)
    k, j, i = ct.array.shape
    assert prepared.channels.shape == (1, k, 512, 512)
    before = ((512 - j) // 2, (512 - i) // 2)
    inner = prepared.channels[0][:, before[0] : before[0] + j, before[1] : before[1] + i]
    assert np.allclose(inner, np.clip(ct.array / 80, 0, 1), atol=1e-5)


def test_the_same_brain_gives_the_same_numbers_with_and_without_skull() -> None:
    with_skull, brain, _ = ct_head((1.0, 1.0, 4.0), noise_hu=2.0)
    without = with_skull.with_array(np.where(brain, with_skull.array, 0).astype(np.float32))
    values = []
    for ct in (with_skull, without):
        prepared = prepare_inputs(SYSTEMS["noncontrast-ct"], {"ct": ct}, {"in_plane_mm": None, "min_slice_mm": 0})
        inner = brain & prepared.brain
        values.append(prepared.channels[0][inner].mean())
    assert values[0] == pytest.approx(values[1], abs=0.05)


# ----------------------------------------------------------------------------------------------------------------- MRI

SEQUENCES = ("dwi", "adc", "flair", "t1", "t2")


def mr_head(*, skull: bool, noise: float = 0.0) -> tuple[dict[str, Volume], np.ndarray]:
    """All five sequences of a ball of brain (values about those of scanners), stripped or in a head."""
    ct, brain, labels = ct_head((2.0, 2.0, 4.0), radius_mm=65)
    levels = {
        "dwi": (90, 220, 40),
        "adc": (0.85, 0.45, 0.3),
        "flair": (300, 480, 200),
        "t1": (400, 320, 500),
        "t2": (250, 400, 150),
    }
    rng = np.random.default_rng(1)
    images = {}
    for role, (of_brain, of_lesion, of_scalp) in levels.items():
        image = np.zeros(brain.shape, np.float32)
        if skull:
            image[ct.array == 40] = of_scalp
            image[ct.array == 900] = of_brain * 0.05
        image[brain] = of_brain
        image[labels == 1] = of_lesion
        if noise and skull:
            image = np.abs(image + rng.normal(0, noise * of_brain, image.shape)).astype(np.float32)
        images[role] = ct.with_array(image)
    return images, brain


@pytest.mark.parametrize("skull", [False, True])
@pytest.mark.parametrize("role", SEQUENCES)
def test_each_sequence_alone_shows_the_brain(role: str, skull: bool) -> None:
    images, brain = mr_head(skull=skull, noise=0.02)
    prepared = SYSTEMS["mri"].prepare({role: images[role]}, mode="any")
    assert covered(prepared, brain, images[role]) > 0.9
    n = SEQUENCES.index(role)
    assert prepared.channels.shape[0] == 10
    there = prepared.channels[5:].reshape(5, -1)
    assert [float(plane.mean()) for plane in there] == [1.0 if m == n else 0.0 for m in range(5)]
    others = np.delete(prepared.channels[:5], n, axis=0)
    assert not others.any()
    assert np.median(prepared.channels[n][prepared.brain]) == pytest.approx(-0.15 if role == "adc" else 0, abs=0.05)


def test_any_subset_gives_its_own_planes_in_the_cards_order() -> None:
    images, _ = mr_head(skull=False)
    settings = {"mode": "any", "sequences": ["flair", "t1"]}
    both = prepare_inputs(SYSTEMS["mri"], {"t1": images["t1"], "flair": images["flair"]}, settings)
    one = prepare_inputs(SYSTEMS["mri"], {"t1": images["t1"]}, settings)
    assert both.channels.shape[0] == one.channels.shape[0] == 4
    assert [float(p.max()) for p in both.channels[2:]] == [1.0, 1.0]
    assert [float(p.max()) for p in one.channels[2:]] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        (("flair", "t1", "t2"), "read without DWI and ADC"),
        (("dwi", "flair"), "read without an ADC map"),
        (("adc",), "read without DWI:"),
        (("dwi", "adc"), None),
    ],
)
def test_what_cannot_be_told_without_the_diffusion_pair_is_said(roles: tuple[str, ...], said: str | None) -> None:
    images, _ = mr_head(skull=False)
    prepared = SYSTEMS["mri"].prepare({role: images[role] for role in roles}, mode="rest")
    assert [said is not None and said in warning for warning in prepared.warnings] == ([True] if said else [])


def test_the_unit_of_an_adc_map_alone_is_recognized() -> None:
    images, _ = mr_head(skull=False)
    in_other = images["adc"].with_array(images["adc"].array * 1000)
    a = SYSTEMS["mri"].prepare({"adc": images["adc"]}, mode="any")
    b = SYSTEMS["mri"].prepare({"adc": in_other}, mode="any")
    assert b.notes["adc_unit"] == "10⁻⁶ mm²/s"
    assert np.allclose(a.channels, b.channels, atol=1e-4)


def test_the_published_mode_gives_the_networks_colors() -> None:
    images, _ = mr_head(skull=False)
    settings = {"mode": "single", "sequence": "flair", "slice_pixels": 128, "min_slice_mm": 0}
    prepared = prepare_inputs(SYSTEMS["mri"], {"flair": images["flair"]}, settings)
    assert prepared.channels.shape == (3, images["flair"].array.shape[0], 128, 128)
    # Background is 0, so (0 - mean) / SD of red, green and blue.
    assert prepared.channels[:, 0, 0, 0] == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])
    assert prepare_inputs(SYSTEMS["mri"], images, {"mode": "2.5d"}).channels.shape[0] == 1
    assert prepare_inputs(SYSTEMS["mri"], images, {"mode": "stack"}).channels.shape[0] == 5


def test_inputs_follow_the_mode() -> None:
    mri = SYSTEMS["mri"]
    assert mri.inputs_for({}) == (("dwi", "adc"), ())
    assert mri.inputs_for({"mode": "any", "sequences": ["t1", "t2"]}) == ((), ("t1", "t2"))
    assert mri.inputs_for({"mode": "single", "sequence": "t1", "slice_pixels": 128}) == (("t1",), ())
    assert SYSTEMS["ct-perfusion"].inputs_for({}) == (("cbf", "cbv", "mtt", "tmax"), ("ct",))


@pytest.mark.parametrize("mode", ["diffusion", "any", "single", "stack", "nonsense"])
def test_what_a_mode_lacks_is_said(mode: str) -> None:
    with pytest.raises(InputError, match="mode"):
        SYSTEMS["mri"].prepare({}, mode=mode)


@pytest.mark.parametrize("off_hu", [-12.0, 20.0])
def test_a_scanner_that_is_off_by_some_hu_looks_like_the_others(off_hu: float) -> None:
    ct, _, _ = ct_head((1.5, 1.5, 4.0), noise_hu=2.0)
    settings = {"tissue_hu": 31.0, "windows_hu": [[15, 55]], "in_plane_mm": None, "min_slice_mm": 0}
    right, wrong = (
        SYSTEMS["three-projection"].prepare({"ct": volume}, **settings)
        for volume in (ct, ct.with_array(ct.array + np.float32(off_hu)))
    )
    inside = right.brain & wrong.brain
    assert inside.sum() > 0.9 * right.brain.sum()
    assert np.abs(right.channels[0] - wrong.channels[0])[inside].max() < 0.02  # 0.8 HU
    assert np.median(right.channels[0][inside]) == pytest.approx((31 - 15) / 40, abs=0.02)
