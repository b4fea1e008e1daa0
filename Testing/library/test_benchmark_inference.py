"""The benchmark of inference: its numbers follow from each other, and the arithmetic from hand counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from StrokeSegLib.cli import DONE, WRONG_INPUT, main
from StrokeSegLib.cli.benchmark import show
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.models import find_model
from StrokeSegLib.preprocess.intensity import looks_like_ct
from StrokeSegLib.segmentation import segment
from StrokeSegLib.speed import inference, plain
from StrokeSegLib.speed.floor import best_flop_per_second
from StrokeSegLib.speed.picture import draw_cost
from StrokeSegLib.speed.plain_case import plain_case
from StrokeSegLib.speed.recording import Recorded, count_flop
from StrokeSegLib.speed.scans import REAL_SIZES, ScanSize, make_scan

COARSE = ScanSize((48, 48, 8), (4.5, 4.5, 18.0))


def test_the_command_measures_a_whole_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a small scan, the plain side counted from three slices."""
    monkeypatch.setitem(REAL_SIZES, "mri", COARSE)
    monkeypatch.setattr(inference, "PARTS", (0.5, 1.0))
    words = ["benchmark", "inference", "--system", "mri", "--json", "--plot", str(tmp_path / "cost.png")]
    assert main(words) == DONE
    measured = json.loads(capsys.readouterr().out)["mri"]
    seconds = measured["seconds"]
    stages = ("read", "preprocess", "network", "stitch", "restore", "measure", "write")
    assert seconds["total"] == pytest.approx(sum(seconds[stage] for stage in stages))
    plain_stages = [seconds[f"plain_{name}"] for name in ("load", "read", "preprocess", "network", "restore", "write")]
    assert min(plain_stages) > 0
    assert seconds["plain_total"] == pytest.approx(sum(plain_stages))
    assert measured["ratio"] == pytest.approx(seconds["plain_total"] / seconds["total"])
    around = seconds["total"] - seconds["network"] - seconds["stitch"]
    assert measured["ratio_same_stages"] == pytest.approx((around + seconds["plain_network"]) / seconds["total"])
    assert measured["floor_fraction"] == pytest.approx(seconds["floor"] / seconds["network"])
    assert seconds["floor"] == pytest.approx(measured["network_gflop"] / measured["best_gflop_per_second"])
    assert min(seconds[name] for name in ("worker_cold_start", "worker_first_run", "worker_warm_run")) > 0
    what = measured["plain"].pop("what")
    assert all(words in what for words in ("ratio: a whole case", "ratio same stages", "imports"))
    assert measured["plain"] == {"windows": 8, "windows_run": 8, "extrapolated": False, "overlap": 0.0}
    assert [point["million_voxels"] for point in measured["cost"]] == [48 * 48 * n / 1e6 for n in (4, 8)]
    with Image.open(tmp_path / "cost.png") as picture:
        assert len(set(picture.convert("RGB").getdata())) > 10


def test_flop_grow_with_slices_and_pixels() -> None:
    """Twice the slices or pixels are twice the work, and the first convolution is a part of it."""
    card = find_model("mri")
    one = count_flop(card, {(1, 6, 64, 64): 1})
    assert count_flop(card, {(1, 6, 64, 64): 3, (8, 6, 64, 64): 1}) == 11 * one
    assert count_flop(card, {(1, 6, 128, 64): 1}) == 2 * one
    # The first convolution alone: 16 of 7x7 over 6 planes, every second pixel.
    assert one > 2 * 16 * 49 * 6 * 32 * 32


def test_a_recorded_network_answers_as_it_is_and_is_counted() -> None:
    class Doubling:
        name, device = "doubling", "cpu"

        def run(self, batch: np.ndarray) -> np.ndarray:
            return 2 * batch

        def on_rung(self, rung: str) -> object:
            return self if rung == "full" else None

    network = Recorded(Doubling())
    assert network.run(np.ones((2, 1, 4, 4), np.float32)).sum() == 64
    assert network.on_rung("full") is network
    assert network.on_rung("other") is None
    assert network.shapes == {(2, 1, 4, 4): 1}
    assert network.seconds > 0
    assert network.name == "doubling"


def test_the_plain_side_reads_every_slice_once_or_says_that_it_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from StrokeSegLib.inference.backends import TorchBackend

    calls = 0
    run = TorchBackend.run_on_device

    def counted(self: TorchBackend, batch: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        assert batch.shape == (1, 6, 64, 32)  # padded to the network's sizes, not cropped
        return run(self, batch)

    monkeypatch.setattr(TorchBackend, "run_on_device", counted)
    card = find_model("mri").reading(("dwi", "adc"))
    channels, networks = np.zeros((2, 10, 40, 32), np.float32), plain.load_networks(card)
    whole = plain.plain_network(card, networks, channels)
    assert whole.probability["axial"].shape == (1, 10, 40, 32)
    assert (whole.windows, whole.run, whole.extrapolated) == (10, 10, False)
    assert calls == 1 + plain.SAMPLED + 10
    some = plain.plain_network(card, networks, channels, limit_s=0.0)
    assert (some.windows, some.run, some.extrapolated) == (10, plain.SAMPLED, True)
    assert calls == 1 + plain.SAMPLED + 10 + 1 + plain.SAMPLED


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("mri", ScanSize((112, 112, 24), (2.0, 2.0, 6.0))),
        ("ct-perfusion", ScanSize((96, 96, 16), (2.0, 2.0, 8.0))),
    ],
)
def test_the_plain_case_finds_what_we_find(model: str, size: ScanSize, tmp_path: Path) -> None:
    """It is a whole pipeline on the same weights, and no straw man: written on the scan's grid, it marks the same."""
    card = find_model(model)
    card = card.reading(card.roles)
    scan = make_scan(card.system, card.roles, size)
    paths = {role: tmp_path / f"{role}.nii.gz" for role in scan}
    for role, path in paths.items():
        write_image(scan[role], path)
    ours = segment({role: str(path) for role, path in paths.items()}, model)
    found = plain_case(card, paths, tmp_path / "plain", limit_s=1e9)
    label = read_image(tmp_path / "plain" / f"{card.roles[0]}_lesion.nii.gz").volume
    assert label.same_grid(ours.labels)
    assert label.array.dtype == np.uint8
    assert not found.network.extrapolated
    assert dice(ours.labels.array == 1, label.array == 1) > 0.85


@pytest.mark.parametrize(("model", "size_mm"), [("noncontrast-ct", 12.0), ("three-projection", 2.5)])
def test_the_plain_case_of_a_ct_ends_on_its_grid(model: str, size_mm: float, tmp_path: Path) -> None:
    """Windows are only counted; three planes are two grids, and their mean is on the scan's own."""
    card = find_model(model)
    ct = make_scan(card.system, card.roles, ScanSize((40, 40, round(144 / size_mm)), (6.0, 6.0, size_mm)))["ct"]
    write_image(ct, tmp_path / "ct.nii.gz")
    found = plain_case(card, {"ct": tmp_path / "ct.nii.gz"}, tmp_path / "plain", limit_s=0.0)
    assert set(found.seconds) == {"load", "read", "preprocess", "network", "restore", "write"}
    assert found.network.extrapolated
    assert found.network.planes == ({"axial": 1} if model == "noncontrast-ct" else {"axial": 1, "isotropic": 2})
    assert read_image(tmp_path / "plain" / "ct_lesion.nii.gz").volume.same_grid(ct)


def test_real_sizes_are_those_of_clinics() -> None:
    assert REAL_SIZES["noncontrast-ct"].size_ijk == (512, 512, 200)
    for size in REAL_SIZES.values():
        extent = np.array(size.size_ijk) * size.spacing_mm
        assert (extent[:2] > 200).all()
        assert extent[2] >= 100


def test_a_generated_ct_has_the_asked_size_and_air_around_the_head() -> None:
    ct = make_scan("noncontrast-ct", ("ct",), ScanSize((40, 40, 10), (6.0, 6.0, 16.0)))["ct"]
    assert ct.size_ijk == (40, 40, 10)
    assert ct.spacing_mm == (6.0, 6.0, 16.0)
    assert looks_like_ct(ct.array)


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_the_best_rate_is_that_of_a_machine(backend: str) -> None:
    assert 1e8 < best_flop_per_second(backend, "fp32", "cpu") < 1e14


def test_the_picture_shows_every_model(tmp_path: Path) -> None:
    cost = [{"million_voxels": 1.0, "seconds": 2.0}, {"million_voxels": 2.0, "seconds": 4.0}]
    draw_cost({"one": {"cost": cost}, "two": {"cost": cost[:1]}}, tmp_path / "cost.png")
    with Image.open(tmp_path / "cost.png") as picture:
        assert picture.size == (1000, 640)


@pytest.mark.parametrize(
    "words", [("--system", "mra"), ("--model", "mri", "--full-width"), ("--model", "none"), ("--plot", "cost.jpg")]
)
def test_wrong_words_are_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "inference", *words]) == WRONG_INPUT
    assert words[-1].lstrip("-").split("-", maxsplit=1)[0] in capsys.readouterr().err


def test_too_few_cases_for_the_batch_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "batch", "--count", "1"]) == WRONG_INPUT
    assert "--count 1" in capsys.readouterr().err


def test_lists_of_numbers_and_of_words_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show({"system": {"size_ijk": [512, 512, 200], "left_out": [], "seconds": {"read": 0.25}}}, as_json=False)
    assert capsys.readouterr().out == "system: size ijk 512; 512; 200, left out none, seconds read 0.25\n"
