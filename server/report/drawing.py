"""What every plot shares: its look, names beside lines, and SVG fit for a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from common.page_style import FAINT, INK, QUIET
from server.report.summary import Line
from server.results import OVERALL

Style = dict[str, Any]
Finish = Callable[[str, str], str]

DOTTED = (0, (1, 1.3))
NAMES_WIDTH, NAME_HEIGHT = 0.58, 0.062  # of an axes
WIDTH = 4.7  # inches; small, so that text stays legible when the page shrinks to a phone
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none", "text.parse_math": False,
    "font.size": 9, "axes.labelsize": 9, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5,
    "text.color": INK, "axes.labelcolor": QUIET, "xtick.color": QUIET, "ytick.color": QUIET,
    "axes.edgecolor": FAINT, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#eef0f3", "grid.linewidth": 0.8,
    "xtick.major.size": 0, "ytick.major.size": 0, "lines.linewidth": 1.7, "lines.solid_capstyle": "round",
}  # fmt: skip


@contextmanager
def canvas(height: float, width: float = WIDTH) -> Iterator[tuple[Figure, Finish]]:
    """Give a figure, and a function (name, title) that turns it into SVG once it is drawn.

    Parameters
    ----------
    height, width : float
        Inches.
    """
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")

        def finish(name: str, title: str) -> str:
            # The salt keeps identifiers the same in every run, and apart on one page.
            with matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": name}):
                buffer = StringIO()
                nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
                figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
            return _inline(buffer.getvalue(), title)

        yield figure, finish


def drawn(lines: Sequence[Line]) -> list[Line]:
    """Select the lines whose counts are known."""
    return [line for line in lines if line.histogram]


def names(axes: Axes, lines: Sequence[Line], metric: str, left: float = 0.42, top: float | None = None) -> None:
    """Write names and overall figures into a corner (lower right if not told), each behind a stroke of its line."""
    shown = drawn(lines)
    height = NAME_HEIGHT * len(shown)
    top = 0.015 + height if top is None else top
    common: Style = {"transform": axes.transAxes, "zorder": 4}
    ground: Style = {"color": "white", "alpha": 0.85, "linewidth": 0, "transform": axes.transAxes, "zorder": 3}
    axes.add_patch(Rectangle((left, top - height), NAMES_WIDTH, height, **ground))
    for row, line in enumerate(shown):
        y, found = top - NAME_HEIGHT * (row + 0.5), line.at(OVERALL, metric)
        axes.plot([left + 0.02, left + 0.09], [y] * 2, color=line.color, linestyle=line.dash, **common)
        axes.text(left + 0.12, y, short(line.label), va="center", **common)
        axes.text(left + 0.57, y, f"{found.value:.3f}" if found else "", va="center", ha="right", **common)


def names_beside(axes: Axes, ends: Sequence[tuple[float, float, str, str]], panels: int = 1) -> None:
    """Name lines at their right ends, pushed apart where they end close together.

    Parameters
    ----------
    ends : sequence of (x, y, text, colour)
    panels : int
        How many axes share the height of the figure.
    """
    low, high = axes.get_ylim()
    gap = (high - low) * NAME_HEIGHT * panels
    placed = sorted(ends, key=lambda end: end[1])
    heights = [end[1] for end in placed]
    for _ in range(100):
        for i in range(len(heights) - 1):
            lack = gap - (heights[i + 1] - heights[i])
            if lack > 0:
                heights[i], heights[i + 1] = heights[i] - lack / 2, heights[i + 1] + lack / 2
    above = max(0.0, max(heights, default=low) - (high - gap / 2))
    style: Style = {"xycoords": "data", "textcoords": axes.get_yaxis_transform(), "va": "center", "fontsize": 8.5}
    for (x, y, text, color), height in zip(placed, heights, strict=True):
        axes.annotate(text, (x, y), (1.02, height - above), color=color, **style)
    axes.set_ylim(low, high)


def short(name: str) -> str:
    """Cut a name that would not fit into a plot."""
    return name if len(name) <= 22 else f"{name[:21]}…"


def _inline(svg: str, title: str) -> str:
    """Reduce a stand-alone SVG file to what a page needs."""
    box = re.search(r'viewBox="[-\d. ]+"', svg)
    assert box
    body = svg[svg.index("<g id=") : svg.rindex("</svg>")]
    body = re.sub(r" ?font-family: [^;\"]*;", "", body)
    body = re.sub(r"\n\s*", " ", body).replace("xlink:href", "href")
    used = set(re.findall(r"#(\w+)", body))
    body = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", body)
    return f'<svg {box[0]} role="img" aria-label="{escape(title)}">{body}</svg>'
