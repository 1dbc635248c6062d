"""Pictures of a cohort as inline SVG: who was lost where, what is missing, which answers go together, what tells them.

One unit is one pixel, so that text has the size of the page's; a picture wider than the page is scrolled.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from client.check.associations import SUSPICIOUS, Association
from client.check.findings import Description
from client.check.wording import number, several
from common.page_style import ACCENT, ALARM, FAINT, INK, QUIET, ink_on, shade

_CHARACTER = 6.9
"""Width of a letter at 13 pixels, about."""
_LINE = 23
_LONGEST = 34


def flow(cohort: Description, candidate: str, unit: str) -> str:
    """Draw which inclusion rule lost how many patients and candidates, from the records to the cohort."""
    step, box = 48, 52
    height = 2 * box + step * len(cohort.steps) + 16
    middle, side = 150, 250
    parts = [_line(middle, box, middle, height - box, INK, 1.2)]
    told = [
        f"{number(each.patients)} patients, {number(each.candidates)} {several(candidate)}" for each in cohort.steps
    ]
    beside = max(map(len, told), default=0) * _CHARACTER
    whose = f"of {number(cohort.candidates_of)} patients in the records"
    parts += _box(0, 0, 2 * middle, box, f"{number(cohort.candidates)} {several(candidate)}", whose, FAINT)
    for place, each in enumerate(cohort.steps):
        y = box + step * place + step / 2 + 4
        color, shade = (INK, INK) if each.candidates else (QUIET, FAINT)
        parts.append(_line(middle, y, side - 6, y, shade, 1.2))
        parts.append(f'<path d="M{side} {y}l-8 -4v8z" fill="{shade}"/>')
        parts.append(_text(side + 10, y + 4.5, told[place], color))
        parts.append(_text(side + 20 + beside, y + 4.5, each.rule, color))
        left = f"{number(each.patients_left)} patients left"
        parts.append(_text(middle - 10, y + 4.5, left, QUIET, anchor="end", small=True))
    people = f"of {number(cohort.people)} patients"
    parts.append(f'<path d="M{middle} {height - box}l-4 -8h8z" fill="{INK}"/>')
    parts += _box(0, height - box, 2 * middle, box, f"{number(cohort.rows)} {several(unit)}", people, ACCENT)
    widest = max((len(each.rule) for each in cohort.steps), default=0)
    return _svg(max(2 * middle, side + 20 + beside + widest * _CHARACTER), height, "Who was lost by which rule", parts)


def missing(cohort: Description, variables: int) -> str:
    """Draw in which share of each group's rows the most incomplete variables are missing."""
    rows = [each for each in cohort.missing if max(each.shares) > 0][:variables]
    labels = [_short(each.variable) for each in rows]
    heads = [f"{_short(name)} ({number(count)})" for name, count in cohort.groups]
    return _map(
        labels,
        heads,
        [[(share, _whole(share)) for share in each.shares] for each in rows],
        "Share of rows without the variable",
    )


def together(cohort: Description) -> str:
    """Draw how often two labels are both 1: counts, darker the larger a share of the row's label."""
    names = [label.name for label in cohort.labels]
    counts = cohort.together or ()
    cells = [[(count / max(1, row[place]), number(count)) for count in row] for place, row in enumerate(counts)]
    return _map([_short(name) for name in names], [_short(name) for name in names], cells, "Labels that go together")


def strongest(associations: Sequence[Association], several: bool) -> str:
    """Draw the area under the ROC curve of features on their own; those that could be leaks stand out."""
    names = [_short(f"{each.feature} · {each.label}" if several else each.feature, 52) for each in associations]
    left = _width(names)
    wide, top = 420.0, 26
    bottom = top + _LINE * len(names)
    parts = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = left + wide * value
        parts.append(_line(x, top - 4, x, bottom, QUIET if value == 0.5 else FAINT, 1))
        parts.append(_text(x, top - 10, f"{value:g}", QUIET, anchor="middle", small=True))
    for limit in (1 - SUSPICIOUS, SUSPICIOUS):
        x = left + wide * limit
        parts.append(_line(x, top - 4, x, bottom, ALARM, 1, dash="3 3"))
    for place, (name, each) in enumerate(zip(names, associations, strict=True)):
        y = top + _LINE * place + _LINE / 2
        color = ALARM if each.suspicious else ACCENT
        parts.append(_text(left - 10, y + 4.5, name, ALARM if each.suspicious else INK, anchor="end"))
        areas = [(each.auroc_of_missing, False), (each.auroc, True)]
        for area, full in ((area, full) for area, full in areas if area == area):
            x = left + wide * area
            if full:
                parts.append(_line(left + wide / 2, y, x, y, color, 2.2))
            fill = color if full else "#fff"
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2" fill="{fill}" stroke="{color}" stroke-width="1.4"/>'
            )
    return _svg(left + wide + 20, bottom + 6, "Area under the ROC curve of single features", parts)


def _map(labels: Sequence[str], heads: Sequence[str], cells: Sequence[Sequence[tuple[float, str]]], title: str) -> str:
    """Draw a table of shares, each with its text; darker is more."""
    left, wide, slant = _width(labels), 62, 0.62
    top = 16 + slant * max(map(len, heads)) * _CHARACTER
    parts = []
    for column, head in enumerate(heads):
        x = left + wide * column + wide / 2
        turned = f'transform="rotate(-38 {x:.1f} {top - 8:.1f})"'
        parts.append(_text(x, top - 8, head, INK, more=turned))
    for row, (label, line) in enumerate(zip(labels, cells, strict=True)):
        y = top + _LINE * row
        parts.append(_text(left - 10, y + 15.5, label, INK, anchor="end"))
        for column, (share, text) in enumerate(line):
            place = f'x="{left + wide * column + 1}" y="{y + 1:.1f}" width="{wide - 2}" height="{_LINE - 2}" rx="3"'
            parts.append(f'<rect {place} fill="{shade(share)}"/>')
            parts.append(
                _text(left + wide * column + wide / 2, y + 15.5, text, ink_on(share), anchor="middle", small=True)
            )
    ends = [left + wide * (column + 0.5) + 0.8 * len(head) * _CHARACTER for column, head in enumerate(heads)]
    return _svg(max(left + wide * len(heads), *ends), top + _LINE * len(labels) + 4, title, parts)


def _whole(share: float) -> str:
    return f"{share:.0%}" if share in (0, 1) or 0.005 <= share < 0.995 else ("<1%" if share < 0.5 else ">99%")


def _short(name: str, longest: int = _LONGEST) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _width(names: Sequence[str]) -> float:
    return 14 + max(map(len, names), default=0) * _CHARACTER


def _box(x: float, y: float, width: float, height: float, title: str, text: str, color: str) -> list[str]:
    place = f'x="{x + 1}" y="{y + 1:.1f}" width="{width - 2}" height="{height - 2}" rx="8"'
    middle = x + width / 2
    return [
        f'<rect {place} fill="#fff" stroke="{color}" stroke-width="1.6"/>',
        _text(middle, y + 23, title, INK, anchor="middle", more='font-weight="620"'),
        _text(middle, y + 41, text, QUIET, anchor="middle", small=True),
    ]


def _line(x: float, y: float, to_x: float, to_y: float, color: str, width: float, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"'
    return f'<line {ends} stroke="{color}" stroke-width="{width}"{dashes}/>'


def _text(
    x: float, y: float, text: str, color: str, *, anchor: str = "start", small: bool = False, more: str = ""
) -> str:
    look = f'fill="{color}" font-size="{11.5 if small else 13}" text-anchor="{anchor}" {more}'.rstrip()
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(text)}</text>'


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg {box} role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
