"""What the panel says of a model: a short card, of which the model's README is the whole."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.input_roles import roleTitle

README = "README.md"
#: The section of a README that the card repeats.
FAILURES = "## Known failures"


def needsText(model: Any) -> str:
    """What the model finds, needs and can use, a line each."""
    needed = ", ".join(roleTitle(each.role) for each in model.inputs if each.required)
    optional = ", ".join(roleTitle(each.role) for each in model.inputs if not each.required)
    found = ", ".join(label.name for label in model.labels)
    lines = [_("Finds: {labels}").format(labels=found)]
    if needed:
        lines.append(_("Needs: {roles}").format(roles=needed))
    if optional:
        lines.append(_("Can use: {roles}").format(roles=optional))
    return "\n".join(lines)


def cardText(model: Any) -> str:
    """The model's card in Markdown: what it is not fit for, its licence and known failures, a link to all the rest.

    A README's tables and pictures have no room in a narrow panel.
    """
    try:
        readme = (model.folder / README).read_text(encoding="utf-8")
    except OSError:
        return _("{title}, version {version}, licence {licence}. This model brings no description.").format(
            title=model.title, version=model.version, licence=model.licence
        )
    lines = readme.splitlines()
    if lines and lines[0].startswith("# "):
        del lines[0]
    facts = [*needsText(model).split("\n"), _("License: {licence}").format(licence=model.licence)]
    parts = [_firstParagraph(lines), "  \n".join(facts)]  # two spaces break the line
    failures = _section(lines, FAILURES)
    if failures:
        parts += ["**" + _("Known failures") + "**", failures]
    link = (model.folder / README).absolute().as_uri()
    return "\n\n".join([*parts, f"[{_('Open the whole description')}]({link})"])


def _firstParagraph(lines: list[str]) -> str:
    text = "\n".join(lines).strip()
    return text.partition("\n\n")[0]


def _section(lines: list[str], title: str) -> str:
    """The text under a heading, up to the next one; empty where there is no such heading."""
    if title not in lines:
        return ""
    rest = lines[lines.index(title) + 1 :]
    end = next((index for index, line in enumerate(rest) if line.startswith("#")), len(rest))
    return "\n".join(rest[:end]).strip()
