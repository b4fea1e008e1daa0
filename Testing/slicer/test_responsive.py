"""Slicer goes on while a run does: what each turn of the event loop takes of the processor, from the click to the end.

Measured on the panel, on a Qt stand-in, with a thin-slice scan. It is the time of this thread alone that counts: what
other programs take from a busy computer is no fault of ours.
"""

from __future__ import annotations

import time

import numpy as np
import slicer
from PySide6 import QtCore, QtTest, QtWidgets
from stand_in.panel import click, waitForRun

#: A turn that starts a run, or looks after it.
TURN_S = 0.05
#: Handing the volumes over in all, and the one turn that brings the result into the scene.
STEP_S = 1.0
PATIENCE_S = 120
SHAPE = (60, 512, 512)


def addScan(name):
    """16 million voxels, 31 MB, with a lesion of 46 mL."""
    array = np.full(SHAPE, 100, np.int16)
    array[20:30, 200:248, 200:248] = 400
    array[40:42, 100:110, 300:310] = 400
    matrix = slicer.util.vtkMatrixFromArray(np.diag([0.9, 0.9, 2.5, 1.0]))
    node = slicer.util.addVolumeFromArray(array, matrix, name)
    node.CreateDefaultDisplayNodes()
    return node


def turns(panel, first):
    """Seconds of this thread in each turn, and whether volumes were handed over in it; ``first`` is the first one."""
    end, seconds, handing = time.monotonic() + PATIENCE_S, [], []
    step = first
    while True:
        before = panel.run
        wasHanding = before is None or before._handing is not None
        started = time.thread_time()
        step()
        seconds.append(time.thread_time() - started)
        handing.append(wasHanding)
        if panel.run is None:
            return seconds, handing
        assert time.monotonic() < end, panel.ui.statusLabel.text
        time.sleep(0.005)
        step = QtWidgets.QApplication.processEvents


def test_on_the_stand_in_no_turn_of_a_run_keeps_slicer_waiting_from_the_click_to_the_result(openPanel):
    addScan("DWI")
    addScan("ADC")
    panel = openPanel()
    button = panel.ui.applyButton
    longest = []
    # What we do ourselves would be there every time; what the system does for others now and then is not.
    while len(longest) < 2 or (min(longest) >= TURN_S and len(longest) < 4):
        QtWidgets.QApplication.processEvents()
        seconds, handing = turns(panel, lambda: QtTest.QTest.mouseClick(button, QtCore.Qt.LeftButton))
        assert panel.ui.statusLabel.text.startswith("Done in ")
        *looking, building = seconds
        assert building < STEP_S
        assert sum(each for each, part in zip(seconds, handing, strict=True) if part) < STEP_S
        longest.append(max(looking))
    print("longest turn of each run:", ", ".join(f"{each:.3f} s" for each in longest))
    assert min(longest) < TURN_S, longest


def test_on_the_stand_in_a_cancel_answers_at_once(openPanel):
    addScan("DWI")
    addScan("ADC")
    panel = openPanel()
    click(panel.ui.applyButton)
    started = time.thread_time()
    QtTest.QTest.mouseClick(panel.ui.applyButton, QtCore.Qt.LeftButton)
    assert time.thread_time() - started < TURN_S
    assert panel.ui.statusLabel.text == "Canceled"
    waitForRun(panel)
