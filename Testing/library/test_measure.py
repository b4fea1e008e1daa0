"""measure.py: volumes, centroids, diameters and sides against hand arithmetic, on upright and turned grids."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from StrokeSegLib.errors import InputError
from StrokeSegLib.lesion_value import LesionValue, lesion_value
from StrokeSegLib.measure import Lesion, measure_lesions, midsagittal_plane
from StrokeSegLib.volume import Volume, from_sitk

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = [pytest.mark.data, pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")]

#: Grids that see the same head: upright, left-handed, other axis orders, and turned by 20 degrees about an odd axis.
_TURN, _ = np.linalg.qr(np.array([[0.94, -0.2, 0.3], [0.25, 0.96, -0.1], [-0.25, 0.18, 0.95]]))
DIRECTIONS = {
    "upright": np.eye(3),
    "left-handed": np.diag([-1.0, 1.0, 1.0]),
    "RAS": np.diag([-1.0, -1.0, 1.0]),
    "sagittal": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "coronal": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "oblique": _TURN * np.sign(np.diag(_TURN)),
}


def rotation(yaw_deg: float, roll_deg: float) -> np.ndarray:
    """Turns a head about z (yaw), then about y (roll)."""
    yaw, roll = np.deg2rad([yaw_deg, roll_deg])
    about_z = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    return np.asarray(about_y @ about_z)


def head(direction: np.ndarray, turn: np.ndarray, middle: tuple[float, float, float] = (7.0, -3.0, 20.0)):
    """A brain of 66 x 84 x 56 mm half axes and a lesion ball (radius 9 mm) on its left; the grid's voxel is 4x3x5 mm.

    The lesion lies 14 mm left of the mid-sagittal plane, at the front and top, where a turned head puts it across the
    brain's mere center of mass in x.
    """
    spacing = (4.0, 3.0, 5.0)
    size_kji = (56, 80, 60)
    half = direction @ ((np.array(size_kji[::-1]) - 1) / 2 * spacing)
    grid = Volume(np.zeros(size_kji, np.uint8), spacing, tuple(np.array(middle) - half), direction)
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in size_kji], indexing="ij")[::-1], axis=-1)
    own = (grid.ijk_to_lps(ijk) - middle) @ turn
    brain = ((own / (66.0, 84.0, 56.0)) ** 2).sum(axis=-1) <= 1
    ball = np.linalg.norm(own - (14.0, -45.0, 20.0), axis=-1) <= 9
    return grid.with_array(brain), grid.with_array(ball.astype(np.uint8))


def labels_with(voxels_kji: list[tuple[int, int, int]], value: int = 1, **geometry: object) -> Volume:
    array = np.zeros((12, 12, 12), np.uint8)
    array[tuple(np.array(voxels_kji).T)] = value
    return Volume(array, **geometry)  # type: ignore[arg-type]


def only(lesions: list[Lesion]) -> Lesion:
    assert len(lesions) == 1
    return lesions[0]


def test_volume_is_voxel_count_times_voxel_volume() -> None:
    array = np.zeros((10, 10, 10), np.uint8)
    array[2:4, 3:6, 1:5] = 1  # 2 x 3 x 4 voxels of 0.5 x 2 x 3 mm
    lesion = only(measure_lesions(Volume(array, (0.5, 2.0, 3.0)), {}))
    assert lesion.volume_ml == pytest.approx(24 * 3.0 / 1000)


def test_voxels_that_touch_by_a_corner_are_one_lesion_and_a_gap_makes_two() -> None:
    assert len(measure_lesions(labels_with([(1, 1, 1), (2, 2, 2)]))) == 1
    assert len(measure_lesions(labels_with([(1, 1, 1), (3, 3, 3)]))) == 2


def test_neighbors_of_different_labels_are_different_lesions_sorted_by_label_then_size() -> None:
    array = np.zeros((4, 4, 20), np.uint8)
    array[0, 0, 0:2] = 2
    array[0, 0, 2:5] = 1
    array[2, 2, 6:12] = 1
    lesions = measure_lesions(Volume(array))
    assert [(one.label, round(one.volume_ml * 1000)) for one in lesions] == [(1, 6), (1, 3), (2, 2)]


def test_no_lesion_gives_an_empty_list() -> None:
    assert measure_lesions(Volume(np.zeros((3, 4, 5), np.uint8))) == []


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_centroid_is_the_mean_voxel_center_in_ras(direction: np.ndarray) -> None:
    voxels_kji = [(2, 3, 4), (2, 3, 5), (3, 3, 5)]
    labels = labels_with(voxels_kji, spacing_mm=(0.5, 1.0, 6.0), origin=(-10.0, 20.0, 30.0), direction=direction)
    mean_offset = np.array([14 / 3 * 0.5, 3 * 1.0, 7 / 3 * 6.0])
    left, posterior, superior = np.array([-10.0, 20.0, 30.0]) + direction @ mean_offset
    assert only(measure_lesions(labels)).centroid_ras_mm == pytest.approx((-left, -posterior, superior))


@pytest.mark.parametrize(
    ("voxels_kji", "expected_mm"),
    [
        ([(5, 5, 5)], 2.0),  # one voxel: the middle one of 1, 2 and 3 mm
        ([(5, 5, 5), (5, 5, 6)], 1.0),  # next along i
        ([(5, 5, 5), (6, 5, 5)], 3.0),  # next along k
        ([(n, n, n) for n in range(4)], 3 * 14**0.5),  # a diagonal line: 3 steps of (1, 2, 3) mm
        ([(3, j, i) for j in range(4) for i in range(5)], (4**2 + 6**2) ** 0.5),  # flat: 4 x 1 mm by 3 x 2 mm
        ([(k, j, i) for k in range(2) for j in range(3) for i in range(4)], (3**2 + 4**2 + 3**2) ** 0.5),
    ],
    ids=["one voxel", "pair in plane", "pair across slices", "diagonal line", "flat", "box"],
)
def test_largest_diameter_is_that_of_hand_arithmetic(
    voxels_kji: list[tuple[int, int, int]], expected_mm: float
) -> None:
    labels = labels_with(voxels_kji, spacing_mm=(1.0, 2.0, 3.0), direction=DIRECTIONS["oblique"])
    assert only(measure_lesions(labels)).max_diameter_mm == pytest.approx(expected_mm)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", ["line", "flat", "diagonal sheet"])
def test_large_degenerate_lesions_have_a_diameter(axis: int, shape: str) -> None:
    array = np.zeros((300, 300, 3), np.uint8)
    if shape == "line":
        array[:, 7, 1] = 1
        expected = 299.0
    elif shape == "flat":
        array[:, :, 1] = 1
        expected = 299 * 2**0.5
    else:
        n = np.arange(300)
        array = np.zeros((300, 300, 300), np.uint8)
        array[n, n, :] = 1
        expected = 299 * 3**0.5
    labels = Volume(np.moveaxis(array, 0, axis))
    assert only(measure_lesions(labels)).max_diameter_mm == pytest.approx(expected)


def test_a_lesion_of_500_ml_is_measured_in_about_a_second() -> None:
    k, j, i = np.ogrid[-100:101, -100:101, -100:101]
    ball = (k**2 + j**2 + i**2 <= 98.5**2).astype(np.uint8)  # half-millimeter voxels, radius 49.25 mm
    labels = Volume(ball, (0.5, 0.5, 0.5))
    start = time.process_time()  # not the wall clock: other jobs may share the machine
    lesion = only(measure_lesions(labels))
    # Measured: 0.6 to 0.7 s. The bound leaves room for slower machines.
    assert time.process_time() - start < 2
    assert lesion.volume_ml == pytest.approx(4 / 3 * np.pi * 4.925**3, rel=0.002)
    assert lesion.max_diameter_mm == pytest.approx(98.0, abs=0.51)


@pytest.mark.parametrize("turn_deg", [(0, 0), (15, 0), (0, 15), (-12, -14)])
@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_side_is_the_patients_in_any_grid_and_with_a_turned_head(
    direction: np.ndarray, turn_deg: tuple[float, float]
) -> None:
    brain, labels = head(direction, rotation(*turn_deg))
    assert only(measure_lesions(labels, {}, brain)).side == "left"


def test_the_mirrored_lesion_is_on_the_right() -> None:
    brain, labels = head(DIRECTIONS["upright"], np.eye(3), middle=(0.0, 0.0, 0.0))
    assert only(measure_lesions(labels.with_array(labels.array[:, :, ::-1]), {}, brain)).side == "right"


@pytest.mark.parametrize(("yaw_deg", "roll_deg"), [(0, 0), (18, 0), (0, -18), (10, 14)])
def test_the_plane_follows_yaw_and_roll(yaw_deg: float, roll_deg: float) -> None:
    turn = rotation(yaw_deg, roll_deg)
    brain, _ = head(DIRECTIONS["oblique"], turn)
    a, b, c = midsagittal_plane(brain)
    normal = np.array([1.0, -b, -c]) / np.linalg.norm([1.0, -b, -c])
    assert np.rad2deg(np.arccos(normal @ turn[:, 0])) < 2
    assert np.array([7.0, -3.0, 20.0]) @ [1.0, -b, -c] - a == pytest.approx(0, abs=1.0)


def test_a_lesion_with_less_than_three_quarters_on_a_side_is_midline() -> None:
    array = np.zeros((1, 1, 9), np.uint8)
    array[0, 0, 3:6] = 1  # centered on the volume's middle: one voxel left, one on the plane, one right
    assert only(measure_lesions(Volume(array))).side == "midline"
    array[0, 0, 3:9] = 1  # 4 of 6 voxels to the left: 67%
    assert only(measure_lesions(Volume(array))).side == "midline"
    array[0, 0, 3:5] = 0  # 3 of 4: 75%
    array[0, 0, 4] = 1
    assert only(measure_lesions(Volume(array))).side == "left"


def test_without_a_usable_mask_the_side_is_told_by_center_of_mass_then_by_the_volume() -> None:
    array = np.zeros((4, 4, 40), np.uint8)
    array[1, 1, 25] = 1
    labels = Volume(array)
    assert only(measure_lesions(labels)).side == "left"  # i = 25 of 0..39, x grows to the left
    assert only(measure_lesions(labels, {}, labels.with_array(np.zeros_like(array)))).side == "left"
    small = np.zeros_like(array)
    small[1, 1, 29:32] = 1
    assert only(measure_lesions(labels, {}, labels.with_array(small))).side == "right"


def test_a_single_slice_is_measured() -> None:
    j, i = np.mgrid[-80:81, -80:81]
    brain = ((i / 65) ** 2 + (j / 75) ** 2 <= 1)[None]
    lesion = (np.hypot(i + 30, j) < 6)[None].astype(np.uint8)
    one = only(measure_lesions(Volume(lesion, (1, 1, 6)), {}, Volume(brain, (1, 1, 6))))
    assert one.side == "right"
    assert one.max_diameter_mm == pytest.approx(2 * 34**0.5)  # from (-5, -3) to (5, 3) mm


def test_mean_probability_is_over_the_lesions_own_voxels_and_label() -> None:
    labels = labels_with([(1, 1, 1), (1, 1, 2)])
    labels.array[8, 8, 8] = 2
    first = np.zeros(labels.array.shape, np.float32)
    first[1, 1, 1:3] = 0.6, 0.9
    second = np.full(labels.array.shape, 0.25, np.float16)
    one, two = measure_lesions(labels, {1: labels.with_array(first), 2: labels.with_array(second)})
    assert one.mean_probability == pytest.approx(0.75)
    assert two.mean_probability == pytest.approx(0.25)
    assert only(measure_lesions(labels_with([(1, 1, 1)]), {})).mean_probability is None


def test_mean_value_is_the_images_over_the_lesions_own_voxels_in_the_unit_that_is_read() -> None:
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[1, 1, 1:3] = 1
    image = np.full(labels.shape, 7.0, np.float32)
    image[1, 1, 1:3] = (0.4, 0.6)
    volume = Volume(labels, (1.0, 1.0, 1.0))
    (found,) = measure_lesions(volume, image=volume.with_array(image), image_scale=1000.0)
    assert found.mean_value == pytest.approx(500.0)
    assert measure_lesions(volume)[0].mean_value is None
    with pytest.raises(InputError, match="the image has the grid"):
        measure_lesions(volume, image=Volume(image, (1.0, 1.0, 2.0)))


@pytest.mark.parametrize(
    ("roles", "notes", "expected"),
    [
        (("dwi", "adc"), {"adc_unit": "10⁻³ mm²/s"}, LesionValue("adc", "10⁻⁶ mm²/s", 1e3)),
        (("dwi", "adc"), {"adc_unit": "mm²/s"}, LesionValue("adc", "10⁻⁶ mm²/s", 1e6)),
        (("dwi", "adc"), {"adc_unit": "10⁻⁶ mm²/s"}, LesionValue("adc", "10⁻⁶ mm²/s", 1.0)),
        (("dwi", "adc"), {"adc_unit": "10⁻³ mm²/s times 10^2"}, None),
        (("ct",), {}, LesionValue("ct", "HU", 1.0)),
        (("cbf", "tmax"), {}, None),
    ],
)
def test_the_value_of_a_lesion_is_adc_or_hu_where_there_is_such_an_image(
    roles: tuple[str, ...], notes: dict[str, str], expected: LesionValue | None
) -> None:
    assert lesion_value(roles, notes) == expected


def test_another_grid_is_refused() -> None:
    labels = labels_with([(1, 1, 1)])
    other = Volume(labels.array, spacing_mm=(1.0, 1.0, 2.0))
    with pytest.raises(InputError, match=r"brain mask.*grid"):
        measure_lesions(labels, {}, other)
    with pytest.raises(InputError, match=r"probability of label 1.*grid"):
        measure_lesions(labels, {1: other})


def test_bool_and_int_label_maps_measure_alike() -> None:
    labels = labels_with([(1, 1, 1), (1, 1, 2)])
    wanted = measure_lesions(labels)
    for dtype in (bool, np.int16, np.int64):
        assert measure_lesions(labels.with_array(labels.array.astype(dtype))) == wanted


class TestOnRealData:
    pytestmark = needs_data

    def test_left_and_right_of_a_real_brain_are_told_through_yaw_and_roll(self) -> None:
        """FreeSurfer numbers 2-28 are the left half, 41-60 the right; a turned head must keep them apart."""
        anatomy = from_sitk(sitk.ReadImage(str(DATA / "anatomy" / "seg_07.nii.gz")))
        turned = Volume(anatomy.array, anatomy.spacing_mm, anatomy.origin, rotation(12, -12) @ anatomy.direction)
        brain = turned.with_array((turned.array > 0) & (turned.array < 100))
        a, b, c = midsagittal_plane(brain)
        for numbers, sign in ([2, 3, 10, 11, 12, 17], 1), ([41, 42, 49, 50, 51, 53], -1):
            inside = np.argwhere(np.isin(turned.array, numbers))[::5, ::-1]
            distance = sign * (turned.ijk_to_lps(inside) @ np.array([1.0, -b, -c]) - a)
            assert np.mean(distance > 0) > 0.98

    def test_a_large_real_infarct_has_its_known_volume(self) -> None:
        case = DATA / "cases" / "dwi-adc-isles22-0003"
        labels = from_sitk(sitk.ReadImage(str(case / "lesion.nii.gz"), sitk.sitkUInt8))
        dwi = from_sitk(sitk.ReadImage(str(case / "dwi.nii.gz"), sitk.sitkFloat32))
        lesions = measure_lesions(labels, {}, dwi.with_array(dwi.array > 1))
        assert sum(one.volume_ml for one in lesions) == pytest.approx(np.count_nonzero(labels.array) * 0.008)
        assert sum(one.volume_ml for one in lesions) == pytest.approx(31, abs=0.2)
        assert lesions[0].volume_ml == pytest.approx(29.1, abs=0.1)
        assert lesions[0].side == "left"
        assert lesions[0].centroid_ras_mm[0] == pytest.approx(-33.7, abs=0.1)


def test_lesions_in_a_corner_of_a_large_volume_are_those_of_the_corner() -> None:
    """Only the box around all lesions is looked at."""
    corner = (np.random.default_rng(0).random((9, 11, 10)) < 0.2).astype(np.uint8) * 2
    corner[4, 5, 5] = 1
    small = Volume(corner, (1.0, 2.0, 3.0), (10.0, 20.0, 30.0))
    large = np.zeros((30, 40, 50), np.uint8)
    large[20:29, 7:18, 33:43] = corner
    x, y, z = np.array(small.origin) - np.array([33, 7, 20]) * small.spacing_mm
    found = measure_lesions(Volume(large, small.spacing_mm, (x, y, z)), plane=np.zeros(3))
    alone = measure_lesions(small, plane=np.zeros(3))
    assert len(found) == len(alone) > 2
    for one, other in zip(found, alone, strict=True):
        assert one.centroid_ras_mm == pytest.approx(other.centroid_ras_mm)
        assert (one.label, one.volume_ml, one.max_diameter_mm) == (other.label, other.volume_ml, other.max_diameter_mm)
