"""How the privacy spent at a site grew, as inline SVG."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from client.budget.account import Account

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, QUIET, FAINT, ACCENT, ALARM = "#1d2530", "#5f6978", "#dfe3e8", "#0072b2", "#d55e00"
MOST_DATES = 6


def draw(account: Account) -> str:
    """Draw epsilon after each release as steps, the budget as a line, releases without noise as crosses."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 11,
        "svg.hashsalt": "fedward",
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9.6, 3.6), layout="constrained")
        axes = figure.add_subplot()
        numbers = range(1, len(account.lines) + 1)
        spent = [line.after for line in account.lines]
        places, heights = [0, *numbers, len(numbers) + 0.5], [0.0, *spent, account.spent]
        axes.step(places, heights, where="post", color=ACCENT, linewidth=2)
        axes.fill_between(places, heights, step="post", color=ACCENT, alpha=0.12, linewidth=0)
        crosses = [number for number, line in zip(numbers, account.lines, strict=True) if line.unprotected]
        if crosses:
            axes.plot(crosses, [0] * len(crosses), "x", color=ALARM, clip_on=False, label="no noise: not bounded")
        top = max([1e-9, *spent])
        if (limit := account.budget.epsilon) is not None:
            axes.axhline(limit, color=INK, linewidth=1.2, linestyle=(0, (5, 3)))
            axes.annotate(f"budget {limit:g}", (0, limit), (4, 4), textcoords="offset points", color=INK)
            top = max(top, limit)
        axes.set(ylim=(0, 1.15 * top), xlim=(0, len(numbers) + 0.5))
        axes.set_ylabel("epsilon spent", color=QUIET)
        _dates(axes, account)
        if crosses:
            axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(colors=QUIET, length=0)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    return text[text.index("<svg") :]


def _dates(axes: Axes, account: Account) -> None:
    """Write when, below some of the releases."""
    count = len(account.lines)
    shown = sorted({1 + round(k * (count - 1) / (MOST_DATES - 1)) for k in range(MOST_DATES)}) if count else []
    times = [datetime.fromtimestamp(account.lines[number - 1].time, UTC) for number in shown]
    labels = [f"{number}\n{time:%Y-%m-%d}" for number, time in zip(shown, times, strict=True)]
    axes.set_xticks(shown, labels)
    axes.set_xlabel("release, and its date (UTC)", color=QUIET)
