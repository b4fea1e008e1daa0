"""A reader's work on a study: one case after the other in the scene, every decision on the disk at once. No dialogs.

Nothing is lost: edits by hand become a version of the reader's own whenever the case is left, decided on or signed,
when the module is left or the scene is closed, and some seconds after an edit. Where the disk refuses, the case stays
open; where it cannot stay, because the scene goes, its labels are kept in memory and stored with the next thing done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.load_ahead import LoadAhead
from StrokeSegApp.review_case import CaseNodes, atOnce, readVolumes
from StrokeSegApp.review_clock import Clock
from StrokeSegLib import review
from StrokeSegLib.errors import InputError
from StrokeSegLib.review.names import check_name
from StrokeSegLib.volume import Volume

#: Slicer's own status of a segment for each status of a case.
_STATUS = {
    "new": "NotStarted",
    "opened": "InProgress",
    "corrected": "InProgress",
    "accepted": "Completed",
    "rejected": "Flagged",
    "flagged": "Flagged",
}


class Reviewing:
    """One reader in one study.

    Attributes:
        study: The open study.
        reader: The reader's pseudonym.
        files: What the study says of the open case; None without one.
        nodes: The open case in the scene; None without one.
        adjudicates: Whether the reader settles what the others disagree on, and so sees their marks at once.
        edited: Whether there may be changes that are not stored yet.
        clock: Runs while the case is before the reader.
    """

    def __init__(self, folder: str, reader: str) -> None:
        """Open the study; nothing is written.

        Raises:
            InputError: It is no study, or the reader's name is none.
        """
        self.reader = check_name(reader, "reader")
        self.study = review.open_study(folder)
        self.adjudicates = reader in self.study.adjudicators()
        self.files: Any = None
        self.nodes: CaseNodes | None = None
        self.edited = False
        self.clock = Clock()
        #: Called at the first edit after everything was stored.
        self.onEdited: Callable[[], None] = lambda: None
        self._ahead = LoadAhead()
        self._rescued: dict[str, Volume] = {}

    @property
    def caseId(self) -> str | None:
        """Of the open case."""
        return self.files.case_id if self.files is not None else None

    # The list

    def items(self, sort: str, **only: Any) -> list[Any]:
        """The worklist, or some of it, see ``StrokeSegLib.review.worklist``."""
        return list(review.worklist(self.study, self.reader, sort=sort, **only))

    def refreshed(self, item: Any) -> Any:
        """A line of the list as the reader stands with it now; asks for no file of other cases."""
        reading = review.case_reading(self.study, self.reader, item.case_id)
        return replace(item, status=reading.status, signed=reading.signature is not None, seconds=reading.seconds)

    def loadAhead(self, caseIds: Sequence[str]) -> None:
        """Begin to read the files of the cases that come next. One that cannot be read says so when it is opened."""
        wanted = []
        for caseId in caseIds:
            try:
                files = review.case_files(self.study, self.reader, caseId)
            except (InputError, OSError):
                continue
            wanted.append(((caseId, files.version), _reader(files)))
        self._ahead.want(wanted)

    def turn(self, seconds: float) -> bool:
        """Let the reading ahead go on for a moment; True while there is more to read."""
        return self._ahead.turn(seconds)

    # A case comes and goes

    def open(self, caseId: str) -> None:
        """Show a case instead of the one that is open; that one is stored first.

        Raises:
            InputError: The case cannot be read, or something cannot be written; the open case stays open.
        """
        self._storeRescued()
        files = review.case_files(self.study, self.reader, caseId)
        volumes = self._ahead.take((caseId, files.version)) or _reader(files)()
        names = {int(label["value"]): str(label["name"]) for label in files.measurements.get("labels", ())}
        model = f"StrokeSeg {files.result.model} {files.result.model_version}" if files.result else "StrokeSeg"
        with atOnce():
            nodes = CaseNodes(caseId, volumes, names, model, edited=files.reading.corrected)
            try:
                self._closeEvent()
                files = review.open_case(self.study, self.reader, caseId)
            except BaseException:
                nodes.remove()
                raise
            before, self.files, self.nodes, self.edited = self.nodes, files, nodes, False
            nodes.setStatus(_STATUS[files.reading.status])
            if before is not None:
                before.remove()  # before the new one is shown: it brings results into sight that the new one hides
            nodes.show()
        nodes.observe(self._onEdited)
        self.clock.restart()

    def close(self) -> None:
        """Store the open case and take it out of the scene.

        Raises:
            InputError: It cannot be stored; it stays open.
        """
        self._storeRescued()
        self._closeEvent()
        if self.nodes is not None:
            self.nodes.remove()
        self._forget()

    def closeAnyway(self) -> None:
        """As ``close``, for a case whose nodes go in any case: what cannot be stored now is kept for later.

        Raises:
            InputError: It could not be stored.
        """
        if self.nodes is None or self.caseId is None:
            return
        try:
            self._closeEvent()
        except InputError:
            if self.edited:
                self._rescued[self.caseId] = self.nodes.labels()
            raise
        finally:
            self._forget()

    def end(self) -> None:
        """Forget what was read ahead."""
        self._ahead.close()

    def pause(self) -> None:
        """The module is left: store, and count no time until ``goOn``."""
        self.clock.pause()
        self.store()

    def goOn(self) -> None:
        """The module is entered again."""
        if self.nodes is not None:
            self.clock.goOn()

    # What the reader does

    def store(self) -> bool:
        """Keep what was edited as a version of the reader's own; True when there is a new one.

        Raises:
            InputError: It cannot be written; it stays edited.
        """
        self._storeRescued()
        if self.nodes is None or not self.edited:
            return False
        labels = self.nodes.labels()
        new = review.content_hash(labels) != self.files.version
        if new:
            review.correct(self.study, self.reader, self.files.case_id, labels)
        self.edited = False
        if new:
            self._refresh()
        return new

    def accept(self, comment: str = "") -> None:
        """Accept the case as it is shown; lesions that were rejected go."""
        self.store()
        if self.files.version is None and self.nodes is not None:  # nothing was found: that is a finding, too
            review.correct(self.study, self.reader, self.files.case_id, self.nodes.labels())
        try:
            review.accept(self.study, self.reader, self.files.case_id, comment=comment)
        finally:
            shown = self.files.version
            self._refresh()
            if self.nodes is not None and shown is not None and self.files.version != shown:
                labels = review.read_segmentation(self.study, self.files.case_id, self.files.version)
                self.nodes.setLabels(labels)

    def reject(self, reason: str, comment: str = "") -> None:
        """Reject the case: nothing in it can be used."""
        self.store()
        review.reject(self.study, self.reader, self.files.case_id, reason=reason, comment=comment)
        self._refresh()

    def flag(self, reason: str, comment: str = "") -> None:
        """Flag the case: somebody else has to look at it."""
        self.store()
        review.flag(self.study, self.reader, self.files.case_id, reason=reason, comment=comment)
        self._refresh()

    def comment(self, text: str) -> None:
        """Write something about the case."""
        review.add_comment(self.study, self.reader, self.files.case_id, text)
        self._refresh()

    def sign(self) -> None:
        """Sign the decision."""
        self.store()
        review.sign(self.study, self.reader, self.files.case_id)
        self._refresh()

    def decideLesion(self, row: Any, accepted: bool) -> None:
        """Accept or reject one lesion, a row of ``files.lesions``."""
        self.store()
        decide = review.accept_lesion if accepted else review.reject_lesion
        decide(self.study, self.reader, self.files.case_id, row.label, row.centroid_ras_mm)
        self._refresh()

    def others(self) -> dict[str, Any]:
        """Where the other readers stand with the case; empty until this reader has decided on it or adjudicates."""
        return review.others(self.study, self.reader, self.files.case_id)

    def marks(self) -> dict[str, str]:
        """Version by name of each other reader who has decided, as far as this reader may see it."""
        return {n: r.version for n, r in sorted(self.others().items()) if r.finished_once and r.version is not None}

    def showMarks(self, reader: str | None) -> None:
        """Another reader's marks as outlines; None takes them away.

        Raises:
            InputError: They cannot be read.
        """
        if self.nodes is not None:
            self.nodes.showMarks(None if reader is None else self._marksOf(reader), reader or "")

    def takeOver(self, reader: str) -> None:
        """Go on from another reader's marks; what this reader had is stored before.

        Raises:
            InputError: They cannot be read, or something cannot be written.
        """
        self.store()
        labels = self._marksOf(reader)
        review.correct(
            self.study,
            self.reader,
            self.files.case_id,
            labels,
            comment=_("marks of {reader} taken over").format(reader=reader),
        )
        self._refresh()
        if self.nodes is not None:
            self.nodes.setLabels(labels)

    def _marksOf(self, reader: str) -> Volume:
        return review.read_segmentation(self.study, self.files.case_id, self.marks()[reader])

    def _onEdited(self) -> None:
        first, self.edited = not self.edited, True
        if first:  # a brush stroke is many edits
            self.onEdited()

    def _refresh(self) -> None:
        self.files = review.case_files(self.study, self.reader, self.files.case_id)
        if self.nodes is not None:
            self.nodes.setStatus(_STATUS[self.files.reading.status])

    def _closeEvent(self) -> None:
        """Store, and say how long it took."""
        if self.files is None:
            return
        self.store()
        review.close_case(self.study, self.reader, self.files.case_id, round(self.clock.seconds, 1))
        self.clock.restart()

    def _forget(self) -> None:
        self.files, self.nodes, self.edited = None, None, False
        self.clock = Clock()

    def _storeRescued(self) -> None:
        for caseId in list(self._rescued):
            review.correct(self.study, self.reader, caseId, self._rescued[caseId])
            del self._rescued[caseId]


def _reader(files: Any) -> Callable[[], Any]:
    images, path, version = dict(files.images), files.segmentation, files.version
    return lambda: readVolumes(images, path, version)
