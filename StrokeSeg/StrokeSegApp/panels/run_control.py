"""What the sections of long commands do alike: start one run, look after it with a timer, stop it without waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
from slicer.i18n import tr as _

from StrokeSegApp.panels.run_view import RunView, progressText

POLL_INTERVAL_MS = 500


class RunControl:
    """One run at a time; a stopped one counts until its process has gone, because it may still write.

    Attributes:
        run: In progress, or None. It has ``poll``, ``finish``, ``cancel``, ``progress`` and ``gone``.
    """

    def __init__(
        self,
        view: RunView,
        stageWords: Callable[[], Mapping[str, str]],
        finished: Callable[[Any], None],
        changed: Callable[[], None],
    ) -> None:
        """Nothing runs yet.

        Args:
            view: Shows how it goes.
            stageWords: Stages of a run, as people read them.
            finished: Called with a run that came to its end; what it raises is shown as the run's error.
            changed: Called after every look at the run.
        """
        self._view = view
        self._stageWords = stageWords
        self._finished = finished
        self._changed = changed
        self.run: Any = None
        self._ending: Any = None  # a stopped run whose process has not gone yet
        self._goneText = ""
        self._starting = False
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.onPoll)

    @property
    def busy(self) -> bool:
        """Whether nothing can be started just now: a run is beginning, going on, or not gone yet."""
        return self._starting or self.run is not None or self._ending is not None

    def start(self, ensure: Callable[[], str | None], begin: Callable[[], Any]) -> None:
        """Start a run, unless there is one; what goes wrong is said.

        Args:
            ensure: Installs the packages that the run needs; returns those that are missing then, or None.
            begin: Makes the run.
        """
        if self.busy:
            return
        self._starting = True  # questions about packages let the user click on
        try:
            self._view.say(_("Starting"))
            missing = ensure()
            if missing is not None:
                self._view.say(_("These packages are needed and not installed: {packages}").format(packages=missing))
                return
            self.run = begin()
            self._timer.start()
        except Exception as error:
            self._view.sayError(error)
        finally:
            self._starting = False

    def stop(self, text: str, goneText: str) -> None:
        """Without waiting: the run may finish what it writes. ``goneText`` is said once its process has gone."""
        self._ending, self.run, self._goneText = self.run, None, goneText
        self._ending.cancel(wait=False)
        self._view.say(text)

    def show(self) -> None:
        """Bring the view in line."""
        self._view.refresh()
        self._view.showProgress(self.run.progress if self.run is not None else None, self.run is not None)

    def close(self) -> None:
        """End the run, if there is one, and wait for its end."""
        self._end()
        self._timer.disconnect("timeout()", self.onPoll)

    def onPoll(self) -> None:
        """Look after the run: called by the timer, twice a second."""
        run = self.run
        if run is None:
            self._lookAtEnding()
            return
        try:
            ended = run.poll()
            if run.progress is not None:
                self._view.say(progressText(run.progress, self._stageWords()))
            if ended:
                self._timer.stop()
                self.run = None
                run.finish()
                self._finished(run)
        except Exception as error:
            self._end()
            self._view.sayError(error)
        self._changed()

    def _lookAtEnding(self) -> None:
        if self._ending is not None and self._ending.gone:
            self._ending = None
            self._view.say(self._goneText)
            self._changed()
        if self._ending is None:
            self._timer.stop()

    def _end(self) -> None:
        self._timer.stop()
        run, self.run = self.run, None
        if run is not None:
            run.cancel()
