"""The demonstration as one self-contained HTML page with a picture."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
from markupsafe import Markup
from matplotlib.axes import Axes

from common.page_style import FAINT, INK, QUIET
from server.report.drawing import canvas
from server.report.style import CSS
from simulations.leakage.measuring import ARMS, METRICS
from simulations.leakage.summary import Line, conclusion, interval, percents

COLORS = ("#8a94a3", "#d55e00", "#0072b2")
"""One an arm."""
_OFFSETS = (-0.24, 0.0, 0.24)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Leakage by a random row split · Fedward</title>
<style>{{ css }}</style>
</head>
<body>
<header>
<p><span class="brand">Fedward</span>&ensp;<strong class="badge">SYNTHETIC: NOISE</strong></p>
<h1>What a random row split finds where there is nothing</h1>
<dl class="facts"><div><dt>Admissions</dt><dd>{{ "{:,}".format(admissions) }}</dd></div>
<div><dt>Seeds</dt><dd>{{ seeds }}</dd></div><div><dt>Learner</dt><dd>XGBoost with its defaults</dd></div>
<div><dt>Held out</dt><dd>35 %</dd></div></dl>
<div class="answer"><h2>Recognising patients is not diagnosing them</h2><p>{{ conclusion }}</p></div>
</header>
<main>
<section>
<figure class="wide"><figcaption>Labels, records and 18 film features are drawn without looking at each other. Films and
records are merged on the patient, which gives every film the records and labels of its patient's last admission. Dots
are means over seeds, strokes their 95 % intervals; hollow diamonds are what was published for films and records.
<ul class="key">{% for arm, color in arms %}<li><i style="background:{{ color }}"></i>{{ arm.title }}</li>{% endfor %}
<li>◇ published</li></ul></figcaption>{{ picture }}</figure>
</section>
<section>
<h2>Figures</h2>
<p class="lead">Precision / recall / F1 in percent at a threshold of 0.5, and the area under the ROC curve with its
95 % interval over seeds; of twenty such intervals one misses by chance. The study published no area.</p>
<div class="scroll"><table class="total" aria-label="Figures"><thead><tr><th scope="col">Disease</th>
{%- for arm, _ in arms %}<th scope="col">{{ arm.title }}</th>{% endfor %}
<th scope="col">published: films</th><th scope="col">published: films and records</th></tr></thead><tbody>
{% for line in lines %}<tr><th scope="row">{{ line.name }}</th>
{%- for found in line.found %}<td>{{ scores(found) }}<small>{{ interval(found["AUROC"]) }}</small></td>{% endfor %}
<td>{{ percents(line.films) }}</td><td>{{ percents(line.films_and_records) }}</td></tr>
{% endfor %}</tbody></table></div>
</section>
</main>
<footer><p>No patient is in these data. How many admissions a patient has is drawn from a geometric distribution with
the published mean; everything else is independent noise.</p></footer>
</body>
</html>
"""


def render(lines: Sequence[Line], admissions: int, seeds: int) -> str:
    """Write the page; the last line is the mean over all diseases."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_PAGE).render(
        css=Markup(CSS),
        admissions=admissions,
        seeds=seeds,
        conclusion=conclusion(lines),
        arms=list(zip(ARMS, COLORS, strict=True)),
        lines=lines,
        picture=Markup(draw(lines)),
        scores=lambda found: percents([found[metric].mean for metric in METRICS[:3]]),
        interval=interval,
        percents=percents,
    )


def draw(lines: Sequence[Line]) -> str:
    """Draw F1 and AUROC of every disease and arm as inline SVG."""
    with canvas(0.34 * len(lines) + 0.75, 9.4) as (figure, finish):
        f1, auroc = figure.subplots(1, 2, sharey=True)
        _dots(f1, lines, "F1")
        published = [line.films_and_records[2] for line in lines]
        f1.scatter(published, range(len(lines)), marker="D", s=30, facecolors="none", edgecolors=INK, zorder=3)
        f1.set(xlabel="F1", xlim=(-0.01, None), yticks=range(len(lines)), yticklabels=[line.name for line in lines])
        f1.tick_params(axis="y", labelcolor=INK)
        f1.invert_yaxis()
        auroc.axvline(0.5, color=QUIET, linewidth=1)
        _dots(auroc, lines, "AUROC")
        auroc.set(xlabel="AUROC (0.5 is chance)")
        for axes in (f1, auroc):
            axes.grid(visible=False, axis="y")
            axes.axhline(len(lines) - 1.5, color=FAINT, linewidth=1)
        return finish("leakage", "F1 and AUROC of eight diseases under both splits")


def _dots(axes: Axes, lines: Sequence[Line], metric: str) -> None:
    for place, (color, offset) in enumerate(zip(COLORS, _OFFSETS, strict=True)):
        found = [line.found[place][metric] for line in lines]
        y = [row + offset for row in range(len(lines))]
        axes.hlines(y, [each.low for each in found], [each.high for each in found], colors=color, linewidth=1.3)
        axes.scatter([each.mean for each in found], y, color=color, s=20, zorder=4)
