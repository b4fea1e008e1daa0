"""report/overlay.py and report/slices.py: the right slices, the right way round, in true proportion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image, ImageDraw, ImageFont

from StrokeSegLib.errors import InputError
from StrokeSegLib.report.overlay import BACKGROUND, HEADER_HEIGHT, LABEL_COLORS, MARGIN, draw_overlay
from StrokeSegLib.report.slices import choose_slices, choose_view, picture, position_mm
from StrokeSegLib.volume import Volume, from_sitk

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = [pytest.mark.data, pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")]

_OBLIQUE, _ = np.linalg.qr(np.array([[0.94, -0.2, 0.3], [0.25, 0.96, -0.1], [-0.25, 0.18, 0.95]]))
DIRECTIONS = {
    "upright": np.eye(3),
    "RAS": np.diag([-1.0, -1.0, 1.0]),
    "upside down": np.diag([1.0, 1.0, -1.0]),
    "left-handed": np.diag([-1.0, 1.0, 1.0]),
    "stored sagittal": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "stored coronal": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "oblique": _OBLIQUE * np.sign(np.diag(_OBLIQUE)),
}


def head(direction: np.ndarray, size_ijk: tuple[int, int, int], spacing: tuple[float, float, float]):
    """A gray ball of 60 mm and in it a lesion ball of 15 mm: 30 mm right, 25 mm anterior, 20 mm superior of it."""
    half = direction @ ((np.array(size_ijk) - 1) / 2 * spacing)
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in size_ijk[::-1]], indexing="ij")[::-1], axis=-1)
    grid = Volume(np.zeros(size_ijk[::-1], np.uint8), spacing, tuple(-half), direction)
    at = grid.ijk_to_lps(ijk)
    inside = np.linalg.norm(at, axis=-1) < 60
    lesion = np.linalg.norm(at - (-30.0, -25.0, 20.0), axis=-1) < 15
    return grid.with_array(np.where(inside, 100.0, 0.0)), grid.with_array(lesion.astype(np.uint8))


def drawn(path: Path, image: Volume, labels: Volume, **options: object) -> np.ndarray:
    draw_overlay(image, labels, path, title="mri 1.0", **options)  # type: ignore[arg-type]
    with Image.open(path) as png:
        assert png.format == "PNG"
        return np.asarray(png.convert("RGB"))


def colored(page: np.ndarray, label: int) -> np.ndarray:
    """Where the page, below its head line, has the label's full color."""
    same = np.all(page == LABEL_COLORS[label], axis=-1)
    same[:HEADER_HEIGHT] = False
    return same


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_a_lesion_right_and_anterior_is_up_and_on_the_left_of_the_picture(direction: np.ndarray) -> None:
    image, labels = head(direction, (32, 33, 34), (4.0, 4.0, 4.0))
    view = choose_view(image)
    assert (view.name, view.edge_marks) == ("axial", ("R", "L"))
    number = choose_slices(labels, view, 1)[0]
    rows, columns = np.nonzero(picture(labels.array, view, number))
    middle_row, middle_column = (np.array(picture(labels.array, view, number).shape) - 1) / 2
    assert rows.mean() < middle_row - 3
    assert columns.mean() < middle_column - 3


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_slices_rise_from_inferior_to_superior_and_their_position_is_that_of_the_lesion(direction: np.ndarray) -> None:
    _, labels = head(direction, (32, 33, 34), (4.0, 4.0, 4.0))
    view = choose_view(labels)
    at = [position_mm(labels, view, n) for n in choose_slices(labels, view, 12)]
    assert at == sorted(at)
    assert len(at) >= 6
    if np.abs(direction).max(axis=0).min() == 1:  # along the grid the middle slice is the ball's own
        assert np.mean(at) == pytest.approx(20, abs=2.1)


def test_thick_and_single_slices_are_shown_as_they_were_taken() -> None:
    for name, direction in (("axial", "upright"), ("sagittal", "stored sagittal"), ("coronal", "stored coronal")):
        assert choose_view(Volume(np.zeros((5, 20, 20)), (0.5, 0.5, 6.0), direction=DIRECTIONS[direction])).name == name
        assert choose_view(Volume(np.zeros((1, 20, 20)), direction=DIRECTIONS[direction])).name == name
        assert choose_view(Volume(np.zeros((20, 20, 20)), direction=DIRECTIONS[direction])).name == "axial"


def test_sagittal_pictures_have_anterior_on_the_left_and_superior_on_top() -> None:
    image, labels = head(DIRECTIONS["stored sagittal"], (64, 64, 16), (2.0, 2.0, 8.0))
    view = choose_view(image)
    assert (view.name, view.edge_marks, view.position_letters) == ("sagittal", ("A", "P"), ("R", "L"))
    rows, columns = np.nonzero(picture(labels.array, view, choose_slices(labels, view, 1)[0]))
    assert rows.mean() < 31.5 - 5
    assert columns.mean() < 31.5 - 5


def test_each_run_of_lesion_slices_shows_its_fullest() -> None:
    array = np.zeros((40, 4, 4), np.uint8)
    for k, voxels in ((3, 1), (4, 5), (5, 2), (20, 1), (21, 2), (35, 9)):
        array[k].ravel()[:voxels] = 1
    labels = Volume(array)
    assert choose_slices(labels, choose_view(labels), 3) == [4, 5, 35]  # of 3-4, 5-20, 21-35
    assert choose_slices(labels, choose_view(labels), 12) == [3, 4, 5, 20, 21, 35]


def test_without_a_lesion_at_most_twelve_slices_are_spread_evenly() -> None:
    labels = Volume(np.zeros((111, 4, 4), np.uint8))
    numbers = choose_slices(labels, choose_view(labels), 12)
    assert (len(numbers), numbers[0], numbers[-1]) == (12, 11, 99)
    assert set(np.diff(numbers)) == {8}
    one = Volume(np.zeros((1, 4, 4), np.uint8))
    assert choose_slices(one, choose_view(one), 12) == [0]


@pytest.mark.parametrize(
    ("size_ijk", "spacing"),
    [((64, 64, 64), (2.0, 2.0, 2.0)), ((64, 128, 22), (2.0, 1.0, 6.0)), ((256, 256, 20), (0.5, 0.5, 6.0))],
)
def test_the_drawing_keeps_the_true_proportions(
    tmp_path: Path, size_ijk: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    image, labels = head(np.eye(3), size_ijk, spacing)
    fullest = choose_slices(labels, choose_view(labels), 1)[0]
    only = np.zeros_like(labels.array)
    only[fullest] = labels.array[fullest]
    rows, columns = np.nonzero(colored(drawn(tmp_path / "o.png", image, labels.with_array(only)), 1))
    height, width = np.ptp(rows), np.ptp(columns)
    assert width > 60
    assert height / width == pytest.approx(1, abs=0.08)


def test_the_outline_leaves_the_lesion_itself_to_be_seen(tmp_path: Path) -> None:
    image, labels = head(np.eye(3), (64, 64, 1), (2.0, 2.0, 6.0))
    flat = labels.with_array(np.linalg.norm(np.mgrid[-32:32, -32:32], axis=0)[None] < 12)
    page = drawn(tmp_path / "o.png", image, flat.with_array(flat.array.astype(np.uint8)))
    rows, columns = np.nonzero(colored(page, 1))
    middle = page[int(rows.mean()), int(columns.mean())]
    assert len(set(middle.tolist())) == 1  # gray
    assert middle[0] > 100


def test_labels_have_their_own_colors_and_the_legend_names_them(tmp_path: Path) -> None:
    image, labels = head(np.eye(3), (64, 64, 8), (2.0, 2.0, 6.0))
    array = np.zeros_like(labels.array)
    array[4, 20:30, 20:30], array[4, 20:30, 40:50], array[4, 40:50, 20:30] = 1, 2, 3
    page = drawn(tmp_path / "o.png", image, labels.with_array(array))
    for label, color in LABEL_COLORS.items():
        assert colored(page, label).sum() > 100
        swatch = np.all(page[64:79] == color, axis=-1)
        assert swatch.sum() > 100
    other = drawn(tmp_path / "p.png", image, labels.with_array(array), names={1: "core"})
    assert not np.array_equal(page[60:85], other[60:85])


def test_an_empty_mask_says_no_lesion_found_and_draws_none(tmp_path: Path) -> None:
    image, labels = head(np.eye(3), (64, 64, 22), (2.0, 2.0, 6.0))
    page = drawn(tmp_path / "o.png", image, labels.with_array(np.zeros_like(labels.array)))
    assert not any(colored(page, label).any() for label in LABEL_COLORS)
    wanted = Image.new("RGB", page.shape[1::-1], BACKGROUND)
    words = (wanted.width - MARGIN, 42)
    ImageDraw.Draw(wanted).text(words, "no lesion found", (238, 240, 244), ImageFont.load_default(26), "rs")
    corner = np.s_[:56, wanted.width // 2 :]
    assert np.array_equal(page[corner], np.asarray(wanted)[corner])


@pytest.mark.parametrize("slices", [1, 2, 5, 9, 12, 40])
def test_slices_are_at_least_260_pixels_wide(tmp_path: Path, slices: int) -> None:
    array = np.full((slices, 20, 20), 50.0)
    page = drawn(tmp_path / "o.png", Volume(array, (1, 1, 3)), Volume(np.ones(array.shape, np.uint8), (1, 1, 3)))
    row = np.any(page[HEADER_HEIGHT + 40] != BACKGROUND, axis=-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
    widths = edges[1::2] - edges[::2]
    assert widths.min() >= 260


@pytest.mark.parametrize(
    "values",
    [np.zeros((3, 8, 8)), np.full((3, 8, 8), np.nan), np.full((3, 8, 8), -3.5), np.full((3, 8, 8), np.inf)],
    ids=["zero", "nan", "constant", "infinite"],
)
def test_an_image_without_contrast_is_drawn_all_the_same(tmp_path: Path, values: np.ndarray) -> None:
    labels = np.zeros(values.shape, np.uint8)
    labels[1, 2:5, 2:5] = 1
    assert colored(drawn(tmp_path / "o.png", Volume(values), Volume(labels)), 1).any()


def test_ct_is_shown_in_the_brain_window_and_a_given_window_is_kept(tmp_path: Path) -> None:
    hu = np.full((1, 60, 60), -1000.0)
    hu[0, 10:50, 10:50] = 1200.0
    hu[0, 15:45, 15:45] = 40.0
    image, empty = Volume(hu), Volume(np.zeros(hu.shape, np.uint8))
    page = drawn(tmp_path / "o.png", image, empty)
    middle = (page.shape[0] + HEADER_HEIGHT - 48) // 2, page.shape[1] // 2
    assert page[middle].tolist() == [127] * 3  # 40 of 0-80 HU
    assert drawn(tmp_path / "p.png", image, empty, window=(0.0, 40.0))[middle].tolist() == [255] * 3


def test_a_failed_write_leaves_nothing_beside(tmp_path: Path) -> None:
    image, labels = head(np.eye(3), (16, 16, 4), (8.0, 8.0, 8.0))
    taken = tmp_path / "overlay.png"
    taken.mkdir()
    with pytest.raises(OSError, match="overlay"):
        draw_overlay(image, labels, taken, title="mri")
    assert list(tmp_path.iterdir()) == [taken]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    image, labels = head(np.eye(3), (32, 32, 8), (4.0, 4.0, 8.0))
    for name in ("a.png", "b.png"):
        draw_overlay(image, labels, tmp_path / name, title="mri")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_another_grid_is_refused(tmp_path: Path) -> None:
    image, labels = head(np.eye(3), (16, 16, 4), (8.0, 8.0, 8.0))
    with pytest.raises(InputError, match="one grid"):
        draw_overlay(image, Volume(labels.array), tmp_path / "o.png", title="mri")
    assert not list(tmp_path.iterdir())


class TestOnRealData:
    pytestmark = needs_data

    def test_the_left_infarct_is_drawn_on_the_right_half_of_its_slices(self, tmp_path: Path) -> None:
        case = DATA / "cases" / "dwi-adc-isles22-0003"
        image = from_sitk(sitk.ReadImage(str(case / "dwi.nii.gz"), sitk.sitkFloat32))
        labels = from_sitk(sitk.ReadImage(str(case / "lesion.nii.gz"), sitk.sitkUInt8))
        page = drawn(tmp_path / "o.png", image, labels)
        _, columns = np.nonzero(colored(page, 1))
        within = (columns - MARGIN) % ((page.shape[1] - 2 * MARGIN + 10) / 4)
        assert np.mean(within > 136) > 0.95
