"""Which cases a worklist shows, and which come first."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

ALL, OPEN, LOOK, DISAGREE = "all", "open", "needs-human", "disagree"
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


def offerDisagreements(filterSelector: Any, adjudicates: bool) -> None:
    """What readers disagree on is a list for adjudicators alone, and theirs to begin with; others are not told."""
    if (filterSelector.itemData(filterSelector.count - 1) == DISAGREE) == adjudicates:
        return
    filterSelector.blockSignals(True)
    if adjudicates:
        filterSelector.addItem(_("Readers disagree"), DISAGREE)
        filterSelector.setCurrentIndex(filterSelector.count - 1)
    else:
        filterSelector.removeItem(filterSelector.count - 1)
    filterSelector.blockSignals(False)


def chosenItems(work: Any, filterName: str, sortName: str) -> list[Any]:
    """The worklist (of a ``Reviewing``) with a filter and an order."""
    statuses = {ALL: None, LOOK: None, DISAGREE: None, OPEN: UNDECIDED}.get(filterName, (filterName,))
    items: list[Any] = work.items(
        sortName,
        statuses=statuses,
        only_needs_human=filterName == LOOK,
        only_disagreements=filterName == DISAGREE,
    )
    return items
