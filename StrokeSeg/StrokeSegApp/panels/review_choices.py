"""Which cases a worklist shows, and which come first."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

ALL, OPEN, LOOK = "all", "open", "needs-human"
UNDECIDED = ("new", "opened", "corrected")


def fillChoices(filterSelector: Any, sortSelector: Any) -> None:
    """Titles and names of filters and orders; the first ones are chosen."""
    filters = [
        (_("All cases"), ALL),
        (_("Not decided"), OPEN),
        (_("A human must look"), LOOK),
        (_("Accepted"), "accepted"),
        (_("Rejected"), "rejected"),
        (_("Flagged"), "flagged"),
    ]
    sorts = [
        (_("A human must look first"), "needs-human"),
        (_("Largest doubt first"), "uncertainty"),
        (_("Largest lesions first"), "largest"),
        (_("At random, for audits"), "random"),
        (_("As in the case table"), "table"),
    ]
    for selector, choices in ((filterSelector, filters), (sortSelector, sorts)):
        for title, name in choices:
            selector.addItem(title, name)


def chosenItems(work: Any, filterName: str, sortName: str) -> list[Any]:
    """The worklist (of a ``Reviewing``) with a filter and an order."""
    statuses = {ALL: None, LOOK: None, OPEN: UNDECIDED}.get(filterName, (filterName,))
    items: list[Any] = work.items(sortName, statuses, filterName == LOOK)
    return items
