"""What the sections that run a command have in common: a progress bar, a line that says how it goes, and details."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import slicer
from slicer.i18n import tr as _

from StrokeSegLib.errors import InputError

#: Ticks of a progress bar: enough to move smoothly.
PROGRESS_STEPS = 100


class RunView:
    """Three widgets of a section; knows nothing of what is run."""

    def __init__(self, progressBar: Any, statusLabel: Any, detailsButton: Any) -> None:
        self._bar = progressBar
        self._label = statusLabel
        self._button = detailsButton
        self._details = ""
        detailsButton.connect("clicked(bool)", self._showDetails)
        self.say("")
        self.showProgress(None, False)

    @property
    def text(self) -> str:
        """What the line says."""
        return str(self._label.text)

    def say(self, text: str, details: str = "") -> None:
        self._details = details
        self._label.setText(text)
        self.refresh()

    def refresh(self) -> None:
        """Hide what is empty: unfolding a section may have shown it."""
        self._label.setVisible(bool(self._label.text))
        self._button.setVisible(bool(self._details))

    def sayError(self, error: Exception) -> None:
        """One line; what a fault of ours or of the machine said besides goes behind the button."""
        known = isinstance(error, (InputError, OSError))
        self.say(str(error), "" if known else getattr(error, "details", "") or traceback.format_exc())

    def showProgress(self, progress: Any, running: bool) -> None:
        """The bar: hidden without a run, moving while nothing is known yet, else how far the stage is."""
        self._bar.setVisible(running)
        known = running and progress is not None
        self._bar.setRange(0, PROGRESS_STEPS if known or not running else 0)
        self._bar.setValue(round(PROGRESS_STEPS * progress.done / max(1, progress.total)) if known else 0)

    def _showDetails(self, checked: bool = False) -> None:
        slicer.util.errorDisplay(self.text, detailedText=self._details)


def progressText(progress: Any, words: Mapping[str, str]) -> str:
    """``Training: 30 of 200, 5 min left``."""
    text = _("{stage}: {done} of {total}").format(
        stage=words.get(progress.stage, progress.stage), done=progress.done, total=progress.total
    )
    left = durationText(progress.remaining_s)
    return _("{text}, {duration} left").format(text=text, duration=left) if left else text


def durationText(seconds: float | None) -> str:
    """Seconds as people say them; empty while unknown or as good as over."""
    if seconds is None or seconds < 1:
        return ""
    if seconds < 100:
        return _("{count} s").format(count=round(seconds))
    if seconds < 100 * 60:
        return _("{count} min").format(count=round(seconds / 60))
    return _("{count} h").format(count=round(seconds / 3600))
