"""The check as one self-contained HTML page, for the people at the site."""

from __future__ import annotations

from datetime import date

import jinja2
from markupsafe import Markup

from client.check import drawing, wording
from client.check.examining import Checked
from client.check.findings import Description
from client.check.style import CSS
from client.check.template import PAGE
from client.check.wording import number, percent, several
from common.tasks.base import Task

MOST_MISSING, MOST_ASSOCIATIONS, MOST_LISTED = 40, 25, 200


def render(checked: Checked, on: date) -> str:
    """Write the page.

    Parameters
    ----------
    checked : Checked
    on : date
        When it was made.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.globals |= {
        name: getattr(wording, name) for name in ("number", "signed", "percent", "size", "limits", "listed")
    }
    cohort, asked = checked.cohort, checked.question
    return environment.from_string(PAGE).render(
        css=Markup(CSS),
        checked=checked,
        task=asked.task,
        verdict=checked.verdict,
        facts=_facts(checked, on),
        tiles=_tiles(cohort, asked.task.unit, asked.label) if cohort else [],
        implausible=sorted(checked.implausible, key=lambda one: -one.count),
        cohort=cohort,
        labels_lead="In all rows of the cohort; prevalence is the share of yes among the known.",
        looked_at=f", of {number(cohort.looked_at)} rows" if cohort and cohort.looked_at < cohort.rows else "",
        hidden=max(0, len([one for one in cohort.missing if max(one.shares) > 0]) - MOST_MISSING) if cohort else 0,
        several=bool(cohort and asked.label is None and len(cohort.labels) > 1),
        strongest=[one for one in cohort.associations if one.strength][:MOST_LISTED] if cohort else [],
        pictures=_pictures(cohort, asked.task, asked.label) if cohort else {},
    )


def _facts(checked: Checked, on: date) -> list[tuple[str, str]]:
    asked = checked.question
    facts = [("Data source", asked.source), ("Task", asked.task.name)]
    if asked.label:
        facts.append(("Label", asked.label))
    if asked.select.values:
        facts.append((f"By {asked.select.by}", ", ".join(asked.select.values)))
    if asked.plan:
        facts.append(("Plan", asked.plan.name))
    return [*facts, ("Checked on", on.isoformat())]


def _tiles(cohort: Description, unit: str, label: str | None) -> list[tuple[str, str]]:
    tiles = [(number(cohort.people), "patients"), (number(cohort.rows), several(unit))]
    asked = [one for one in cohort.labels if label in (None, one.name)]
    if len(asked) == 1:
        tiles.append((percent(asked[0].prevalence), asked[0].meaning))
    else:
        tiles.append((number(len(asked)), "labels"))
    if cohort.missing:
        mean = sum(one.shares[0] for one in cohort.missing) / len(cohort.missing)
        tiles += [(number(len(cohort.missing)), "variables"), (percent(mean), "missing on average")]
    return tiles


def _pictures(cohort: Description, task: Task, label: str | None) -> dict[str, Markup | None]:
    """Draw what there is to draw."""
    strongest = [one for one in cohort.associations if one.strength][:MOST_ASSOCIATIONS]
    several = label is None and len(cohort.labels) > 1
    lacking = any(max(one.shares) > 0 for one in cohort.missing)
    drawn = {
        "flow": drawing.flow(cohort, task.candidate, task.unit),
        "together": drawing.together(cohort) if cohort.together else None,
        "missing": drawing.missing(cohort, MOST_MISSING) if lacking else None,
        "strongest": drawing.strongest(strongest, several) if strongest else None,
    }
    return {name: None if svg is None else Markup(svg) for name, svg in drawn.items()}  # drawing escapes every text
