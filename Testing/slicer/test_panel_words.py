"""What the library says reaches the panel without the command line's words; the command line keeps them."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest
from stand_in import ROOT
from StrokeSegApp import batching
from StrokeSegApp.command_run import CommandRun
from StrokeSegApp.panel_words import inPanelWords

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference import backends
from StrokeSegLib.inference.ladder import RUNGS
from StrokeSegLib.inference.network import _how_it_ran
from StrokeSegLib.preprocess.intensity import check_modality
from StrokeSegLib.report.measurements import reasons_for_review
from StrokeSegLib.training.export import export_run
from StrokeSegLib.training.run_folder import read_run
from StrokeSegLib.volume import Volume

#: Nothing of this means anything to who clicks.
JARGON = re.compile(r"(^|\s|')--\w|strokeseg \w|pip install|strokeseg\[|\brung\b|torch (sees|is)\b|ROLE=|\blabel \d")
#: Parts of the library whose messages the panel's runs can meet, and files there that only commands use.
REACHED = ("worker", "training", "inference", "batch", "systems", "preprocess", "io")
ONLY_COMMANDS = ("ablate_rows.py", "cluster.py", "ablate.py", "crossval.py", "monai_bundle.py", "presets")
#: Of the reports the panel's runs can meet what makes DICOM.
OF_DICOM = ("source_series", "dicom_results", "dicom_seg", "dicom_sr", "optional")
FILES = sorted(
    path
    for path in [*(each for part in REACHED for each in (ROOT / "StrokeSegLib" / part).rglob("*.py")),
                 *(ROOT / "StrokeSegLib").glob("*.py"), ROOT / "StrokeSegLib" / "cli" / "export.py",
                 *(ROOT / "StrokeSegLib" / "report" / f"{name}.py" for name in OF_DICOM)]
    if not any(part in ONLY_COMMANDS for part in path.parts) and path.name != "synth_set.py"
)  # fmt: skip
#: Options that no section ever gives.
NEVER_GIVEN = re.compile(r"--(calibrate|anatomy|lesions|cases|id)\b")


def said(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def messagesOfTheLibrary():
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            isError = isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error") and node.args
            if isError and isinstance(node.args[0], ast.JoinedStr | ast.Constant):
                text = _text(node.args[0])
                if JARGON.search(text) and not NEVER_GIVEN.search(text):
                    found.append(pytest.param(text, id=f"{path.name}:{node.lineno}"))
    return found


def _text(node):
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(str(each.value) if isinstance(each, ast.Constant) else "cuda:1" for each in node.values)


@pytest.mark.parametrize("message", messagesOfTheLibrary())
def test_no_error_that_a_run_of_the_panel_can_meet_keeps_words_of_the_command_line(message):
    assert not JARGON.search(inPanelWords(message)), inPanelWords(message)


def test_a_device_that_is_not_there_is_said_by_what_to_choose(monkeypatch):
    monkeypatch.setattr(backends, "_torch_device", lambda device: None)
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: name)
    text = inPanelWords(said(backends.choose, "auto", "cuda"))
    assert text.startswith("the graphics card can not be used: choose CPU as the device")
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None)
    assert "needs PyTorch, which is not installed" in inPanelWords(said(backends.choose, "auto", "mps"))
    assert "are not installed" in inPanelWords(said(backends.choose, "auto", "auto"))


def test_a_training_without_a_network_and_a_folder_without_training_are_said_plainly(tmp_path):
    assert "choose one in which a training was started" in inPanelWords(said(read_run, tmp_path))
    (tmp_path / "run.json").write_text('{"networks": ["net"], "system": "mri", "notes": []}', encoding="utf-8")
    text = inPanelWords(said(export_run, tmp_path, tmp_path / "model"))
    assert "continue the training first" in text or "choose one in which a training" in text


def test_an_image_of_the_other_kind_is_named_by_what_is_needed():
    ct, mri = np.full((8, 8, 8), -1000.0), np.full((8, 8, 8), 300.0)
    assert inPanelWords(said(check_modality, ct, "CT", "dwi")) == (
        "DWI looks like a CT (its DICOM modality is CT), an MRI is needed: choose the DWI, or choose a CT model"
    )
    assert inPanelWords(f"case 7: {said(check_modality, mri, 'MR', 'ct')}") == (
        "case 7: CT looks like an MRI (its DICOM modality is MR), a CT is needed: choose the CT, or choose an MRI model"
    )


def test_too_little_memory_and_a_near_miss_are_said_without_rungs_and_labels():
    class Backend:
        def __init__(self, name, device):
            self.name, self.device = name, device

    run = _how_it_ran({"n": Backend("torch", "cuda:0")}, {"n": Backend("openvino", "cpu")}, RUNGS[-1])
    assert inPanelWords(run.warnings[0]) == (
        "the graphics card had too little memory: the case was computed with the processor, in a way that needs less"
    )
    near = Volume(np.full((20, 20, 20), 0.3, np.float32), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    reason = reasons_for_review([], (), {2: near}, {2: 0.5})[0]
    assert inPanelWords(reason) == (
        "no lesion found, but 8.00 mL look at least half as much like hemorrhage as what would be marked"
    )


def test_what_is_not_known_stays_as_it_is():
    assert inPanelWords("/data/a.nii is damaged: copy it again") == "/data/a.nii is damaged: copy it again"


def test_a_command_and_the_summary_of_a_batch_are_translated_where_they_enter(tmp_path):
    import sys

    line = "strokeseg: format model needs onnx, not installed here; pip install 'strokeseg[train]'"
    run = CommandRun(
        lambda folder: ["-c", f"import sys; print({line!r}, file=sys.stderr); sys.exit(2)"], [sys.executable]
    )
    while not run.poll():
        pass
    assert "agree to the installation" in said(run.finish)
    (tmp_path / batching.SUMMARY).write_text(
        "case_id,status,error\na,failed,device cuda is not available: torch sees no such device; use --device cpu\n"
    )
    assert "choose CPU as the device" in batching.readSummary(tmp_path)[0].error
