"""Prepared training cases: hand arithmetic on the soft truth, and a cache that is fast and never stale."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from StrokeSegLib.case_table import Case
from StrokeSegLib.demo import demo_case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.preprocess.geometry import Grid, grid_of, resample, to_axial
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.systems.base import Prepared, System
from StrokeSegLib.training.dataset import cached_cases, prepare_case, soft_mask
from StrokeSegLib.volume import Volume

#: The bundled system, reading the pair that the demo makes.
MRI = replace(SYSTEMS["mri"], required=("dwi", "adc"), optional=(), choose_inputs=None)


def plain_prepare(inputs: Mapping[str, Volume], *, gain: float = 1.0) -> Prepared:
    """Channels are the inputs on their own grid."""
    channels = np.stack([v.array.astype(np.float32) * np.float32(gain) for v in inputs.values()])
    first = next(iter(inputs.values()))
    return Prepared(channels, grid_of(first), first.array > 0)


PLAIN = replace(MRI, prepare=plain_prepare)


def volume(array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Volume:
    return Volume(array, spacing)


def pair(value: float = 5.0, shape: tuple[int, int, int] = (4, 6, 8)) -> dict[str, Volume]:
    return {"adc": volume(np.full(shape, 2 * value, np.float32)), "dwi": volume(np.full(shape, value, np.float32))}


def test_channels_come_in_the_order_of_the_system_and_not_of_the_caller() -> None:
    case = prepare_case("a", PLAIN, pair(), None, {"gain": 3.0})
    assert case.channels.dtype == np.float16
    assert case.channels.shape == (2, 4, 6, 8)
    assert np.all(case.channels[0] == 15)
    assert np.all(case.channels[1] == 30)
    assert case.brain.dtype == bool
    assert case.spacing_mm == (1.0, 1.0, 1.0)
    assert case.target.shape == (1, 4, 6, 8)
    assert not case.target.any()


def test_a_voxel_half_covered_by_the_lesion_becomes_half() -> None:
    # Truth of 1 mm on a grid of 1 mm that is shifted by half a voxel along i: the voxel at the edge is half full.
    array = np.zeros((3, 3, 8), np.uint8)
    array[:, :, 4:] = 1
    truth = volume(array)
    shifted = Grid((7, 3, 3), (1.0, 1.0, 1.0), (0.5, 0.0, 0.0), np.eye(3))
    assert soft_mask(truth, 1, shifted)[1, 1].tolist() == [0, 0, 0, 128, 255, 255, 255]


def test_the_lesion_keeps_its_volume_on_a_coarser_and_on_a_finer_grid() -> None:
    array = np.zeros((20, 40, 40), np.uint8)
    array[6:14, 10:30, 12:28] = 1  # 8 x 20 x 16 voxels of 1 mm: 2560 mm3
    truth = volume(array)
    for spacing in (0.5, 1.6, 2.5):
        size = tuple(int(n / spacing) for n in (40, 40, 20))
        origin = ((spacing - 1) / 2,) * 3  # both grids start at the same voxel edge
        soft = soft_mask(truth, 1, Grid(size, (spacing,) * 3, origin, np.eye(3)))
        assert soft.sum(dtype=np.float64) / 255 * spacing**3 == pytest.approx(2560, rel=0.03)


def test_each_label_has_its_plane_in_the_order_of_the_system() -> None:
    two = replace(PLAIN, labels={1: "ischemic lesion", 2: "hemorrhage"})
    array = np.zeros((4, 6, 8), np.float32)
    array[0] = 1
    array[1] = 2
    array[2] = 3  # no label of this system
    array[3, 0, 0] = np.nan
    case = prepare_case("a", two, pair(), volume(array), {})
    assert [np.flatnonzero(plane.any(axis=(1, 2))).tolist() for plane in case.target] == [[0], [1]]
    assert set(np.unique(case.target)) == {0, 255}


def test_nan_and_infinity_in_an_image_count_as_nothing() -> None:
    images = pair()
    images["dwi"].array[0, 0, :3] = (np.nan, np.inf, -np.inf)
    case = prepare_case("a", PLAIN, images, None, {})
    assert case.channels[0, 0, 0, :4].tolist() == [0, 0, 0, 5]
    assert np.isnan(images["dwi"].array[0, 0, 0])  # the caller's own image is left alone


@pytest.fixture(scope="module")
def demo() -> SyntheticCase:
    return demo_case()


def test_the_truth_is_placed_by_position_through_the_real_preparation(demo: SyntheticCase) -> None:
    case = demo
    prepared = prepare_case("demo", MRI, case.images, case.truth, {})
    truth_ml = np.count_nonzero(case.truth.array) * case.truth.voxel_volume_ml
    soft_ml = prepared.target.sum(dtype=np.float64) / 255 * np.prod(prepared.spacing_mm) / 1000
    assert soft_ml == pytest.approx(truth_ml, rel=0.05)
    # Turned upside down, with its geometry saying so, it is the same case.
    turned = {role: _turned(image) for role, image in {**case.images, "truth": case.truth}.items()}
    again = prepare_case("demo", MRI, {r: turned[r] for r in case.images}, turned["truth"], {})
    assert np.array_equal(again.target, prepared.target)
    assert np.array_equal(again.channels, prepared.channels)


def _turned(image: Volume) -> Volume:
    corner = image.ijk_to_lps((image.size_ijk[0] - 1, 0, image.size_ijk[2] - 1))
    direction = image.direction @ np.diag([-1.0, 1.0, -1.0])
    return Volume(image.array[::-1, :, ::-1], image.spacing_mm, tuple(corner), direction)


def test_an_error_names_the_case() -> None:
    far = volume(np.ones((4, 6, 8), np.float32))
    images = {**pair(), "adc": Volume(far.array, far.spacing_mm, (500.0, 0.0, 0.0))}
    with pytest.raises(InputError, match="case c7: adc does not overlap"):
        prepare_case("c7", PLAIN, images, None, {})
    with pytest.raises(InputError, match="case c7: no image for mri, needed dwi, adc"):
        prepare_case("c7", PLAIN, {}, None, {})


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    rng = np.random.default_rng(1)
    found = []
    for n in range(3):
        images = {role: tmp_path / f"{n}-{role}.nii.gz" for role in ("dwi", "adc")}
        for path in images.values():
            write_image(volume(rng.integers(1, 900, (12, 40, 40)).astype(np.int16)), path)
        mask = np.zeros((12, 40, 40), np.uint8)
        mask[4:6, 10:14, 10 : 12 + n] = 1
        write_image(volume(mask), tmp_path / f"{n}-lesion.nii.gz")
        found.append(Case(f"c{n}", f"p{n}", images, tmp_path / f"{n}-lesion.nii.gz"))
    return found


class Counted:
    """The plain preparation, counting how often it runs."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, inputs: Mapping[str, Volume], *, gain: float = 1.0) -> Prepared:
        self.calls += 1
        return plain_prepare(inputs, gain=gain)


def counted() -> tuple[Counted, System]:
    prepare = Counted()
    return prepare, replace(MRI, prepare=prepare)


def test_a_case_is_prepared_when_asked_for_and_only_once(cases: list[Case], tmp_path: Path) -> None:
    prepare, system = counted()
    told: list[tuple[str, int, int]] = []
    sequence = cached_cases(cases, system, {}, tmp_path / "cache", lambda *words: told.append(words))
    assert len(sequence) == 3
    assert prepare.calls == 0
    first = sequence[1]
    assert (first.case_id, prepare.calls) == ("c1", 1)
    assert [case.case_id for case in sequence] == ["c0", "c1", "c2"]
    assert [case.case_id for case in sequence] == ["c0", "c1", "c2"]
    assert sequence[-1].case_id == "c2"
    assert prepare.calls == 3
    assert told[-1] == ("prepare", 3, 3)
    # What comes from the disk is what prepare_case makes.
    plain = np.stack([_read(cases[1].images[role]) for role in ("dwi", "adc")])
    assert np.array_equal(first.channels, plain.astype(np.float16))
    assert first.target.sum() == 255 * 2 * 4 * 3
    # Another process, another run: nothing is prepared again.
    again, same = counted()
    assert sum(case.target.sum() for case in cached_cases(cases, same, {}, tmp_path / "cache")) > 0
    assert again.calls == 0


def _read(path: Path) -> np.ndarray:
    return read_image(path).volume.array


def test_the_arrays_are_mapped_and_not_held(cases: list[Case], tmp_path: Path) -> None:
    case = cached_cases(cases, PLAIN, {}, tmp_path / "cache")[0]
    assert type(case.channels) is np.ndarray
    assert isinstance(case.channels.base, np.memmap)
    assert isinstance(case.target.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        case.channels[0, 0, 0, 0] = 1


def test_a_changed_file_setting_or_system_is_seen(cases: list[Case], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    prepare, system = counted()
    assert cached_cases(cases, system, {}, cache)[0].channels[0].max() > 0
    cached_cases(cases, system, {"gain": 2.0}, cache)[0]
    assert prepare.calls == 2
    write_image(volume(np.full((12, 40, 40), 7, np.int16)), cases[0].images["dwi"])
    assert np.all(cached_cases(cases, system, {}, cache)[0].channels[0] == 7)
    assert prepare.calls == 3
    # The same bytes at another time: can not be told from other bytes of the same size, so it counts as changed.
    facts = cases[0].images["dwi"].stat()
    os.utime(cases[0].images["dwi"], ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    cached_cases(cases, system, {}, cache)[0]
    assert prepare.calls == 4
    cached_cases(cases, replace(system, labels={1: "ischemic lesion", 2: "hemorrhage"}), {}, cache)[0]
    assert prepare.calls == 5


def test_other_code_prepares_anew(cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from StrokeSegLib.training import case_cache

    library = tmp_path / "library"
    for name in case_cache._PREPARING_CODE:
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text("a = 1\n") if name.endswith(".py") else (library / name).mkdir()
    (library / "preprocess" / "step.py").write_text("a = 1\n")
    monkeypatch.setattr(case_cache, "_LIBRARY", library)
    keys = set()
    for text in ("a = 1\n", "a = 2\n"):
        (library / "preprocess" / "step.py").write_text(text)
        case_cache._code_version.cache_clear()
        keys.add(case_cache.case_key(cases[0], PLAIN, {}))
    case_cache._code_version.cache_clear()
    assert len(keys) == 2


def test_a_damaged_entry_is_made_anew_and_nothing_in_it_runs(cases: list[Case], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    prepare, system = counted()
    whole = np.array(cached_cases(cases, system, {}, cache)[0].channels)
    (entry,) = [folder for folder in cache.iterdir() if folder.is_dir()]
    file = entry / "channels.npy"
    file.write_bytes(file.read_bytes()[:-100])
    assert np.array_equal(cached_cases(cases, system, {}, cache)[0].channels, whole)
    ran = tmp_path / "ran"
    np.save(file, np.array([Trap(ran)], dtype=object), allow_pickle=True)
    assert pickle.loads(pickle.dumps(Trap(tmp_path / "proof"))) is None  # the trap works
    assert (tmp_path / "proof").exists()
    assert np.array_equal(cached_cases(cases, system, {}, cache)[0].channels, whole)
    assert not ran.exists()
    assert prepare.calls == 3


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_nothing_half_written_stays(cases: list[Case], tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        if done == 1:
            raise StopError

    sequence = cached_cases(cases, PLAIN, {}, tmp_path / "cache", stop)
    with pytest.raises(StopError):
        list(sequence)
    assert [folder.name[0] != "." for folder in (tmp_path / "cache").iterdir()] == [True]


def test_what_keeps_a_case_from_being_prepared_is_said(cases: list[Case], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(InputError, match="case c0 has no lesion mask"):
        cached_cases([replace(cases[0], lesion=None)], PLAIN, {}, cache)[0]
    cases[1].images["adc"].unlink()
    with pytest.raises(InputError, match=r"1-adc.* can not be read"):
        cached_cases(cases, PLAIN, {}, cache)[1]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can not be a cache folder"):
        cached_cases(cases, PLAIN, {}, tmp_path / "file")


def test_a_data_loader_takes_it(cases: list[Case], tmp_path: Path) -> None:
    from torch.utils.data import DataLoader

    sequence = cached_cases(cases, PLAIN, {}, tmp_path / "cache")
    ids = [batch[0].case_id for batch in DataLoader(sequence, batch_size=1, collate_fn=list)]  # type: ignore[arg-type]
    assert ids == ["c0", "c1", "c2"]


def test_the_second_epoch_is_at_least_five_times_faster(demo: SyntheticCase, tmp_path: Path) -> None:
    case = demo
    found = []
    for n in range(2):
        images = {role: tmp_path / f"{n}-{role}.nii.gz" for role in case.images}
        for role, image in case.images.items():
            write_image(image, images[role])
        write_image(case.truth, tmp_path / f"{n}-lesion.nii.gz")
        found.append(Case(f"c{n}", f"p{n}", images, tmp_path / f"{n}-lesion.nii.gz"))
    sequence = cached_cases(found, MRI, {}, tmp_path / "cache")

    def epoch() -> tuple[float, float]:
        started_s = time.process_time()
        total = sum(float(c.channels.sum(dtype=np.float64)) + float(c.target.sum()) for c in sequence)
        return time.process_time() - started_s, total

    (first_s, first), (second_s, second) = epoch(), epoch()
    assert first == second
    assert second_s < first_s / 5


def test_reoriented_truth_of_the_reader_agrees_with_resampling() -> None:
    # The planes of prepare_case are what resampling the axial truth by hand gives.
    rng = np.random.default_rng(2)
    truth = Volume((rng.random((6, 7, 8)) > 0.7).astype(np.uint8), (1.0, 2.0, 3.0))
    grid = Grid((7, 9, 5), (1.1, 1.4, 3.3), (0.2, 0.4, 0.6), np.eye(3))
    by_hand = resample(to_axial(truth.with_array(truth.array.astype(np.float32))), grid).array
    assert np.abs(soft_mask(truth, 1, grid) / 255 - by_hand).max() <= 0.5 / 255 + 1e-6


def test_what_a_killed_run_left_is_cleared_after_a_day(cases: list[Case], tmp_path: Path) -> None:
    old, fresh = (tmp_path / "cache" / f".{name}.1-ab" for name in ("old", "fresh"))
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    cached_cases(cases, PLAIN, {}, tmp_path / "cache")
    assert not old.exists()
    assert fresh.exists()  # another run may be writing it
