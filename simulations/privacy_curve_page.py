"""The page of a privacy curve: AUROC against epsilon, and what an epsilon promises a patient."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from common.page_style import CSS, QUIET
from common.plan import Plan
from common.privacy import accountant
from common.serialization import write_atomic
from server.report.answer import point, span
from server.report.drawing import canvas, names_beside
from server.report.privacy import number
from server.results import OVERALL, PrivateStage, Results
from simulations.privacy_curve import RECORDS, Curve, Point, composed, curves, found_out, of_many_records

COLORS = ("#0072b2", "#d55e00", "#00875f", "#5d3a9b", "#c07d00", "#3c8fc4", "#b1568c")
FALSE_ALARMS = 0.01
_PAGE = """
{%- macro table(name, head, rows) -%}
<div class="scroll"><table aria-label="{{ name }}"><thead><tr>
{%- for cell in head %}<th scope="col">{{ cell }}</th>{% endfor %}</tr></thead><tbody>
{% for row in rows %}<tr>{% for text, note in row %}
{%- if loop.first %}<th scope="row">{{ text }}</th>{% else %}<td>{{ text }}{% if note %}<small>{{ note }}</small>
{%- endif %}</td>{% endif %}{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{%- endmacro -%}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ plan.title }}: what privacy costs · Fedward</title>
<style>{{ css }} figure { max-width: 62rem; } svg { width: 100%; height: auto; }
.scroll { overflow-x: auto; } small { display: block; font-weight: 400; color: var(--quiet); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; } ul { color: var(--quiet); max-width: 46rem; padding-left: 1.1rem; }
</style>
</head>
<body>
<header><p><span class="brand">Fedward</span>
{%- if synthetic %}&ensp;<strong class="badge">SYNTHETIC DATA</strong>{% endif %}</p>
<h1>{{ plan.title }}: what privacy costs</h1>
<div class="answer"><h2>{{ headline }}</h2>{% for sentence in sentences %}<p>{{ sentence }}</p>{% endfor %}</div>
</header>
<main><section id="curve">
<h2>AUROC against epsilon</h2>
<p class="lead">Networks of all sites together on held-out patients
{%- if seeds > 1 %}; line: mean over {{ seeds }} seeds, dots: each seed, with its own split, first weights and noise
{%- endif %}; bars: 95 % interval over patients. Epsilon is of one patient and one training; ∞ is training without
noise and clipping that looks at each patient as often.</p>
<figure>{{ picture }}</figure>
{% for curve, rows in tables %}
<h3>{{ curve.name }}, delta {{ curve.delta }}</h3>
{{ table("AUROC of " ~ curve.name ~ " by epsilon", head, rows) }}
{% endfor %}
</section>
<section id="meaning">
<h2>What epsilon promises</h2>
<p class="lead">Whatever is done with the models, and whatever else is known: whether a patient's records were trained
on changes the chance of any conclusion by at most a factor of e<sup>epsilon</sup>, but for delta. So an attacker who
takes one in a hundred strangers for a patient can find at most the share below of those who were.</p>
{% for name, rows in promises %}
<h3>{{ name }}</h3>
{{ table("What epsilon promises: " ~ name, promise_head, rows) }}
{% endfor %}
<ul>
<li>The unit is the patient: gradients are summed over a patient's records before they are clipped. Had single records
been sampled and clipped, with the same noise, the same epsilon would be claimed of a record; what it would mean for a
patient with {{ records }} of them is in the column beside it.</li>
{% if seeds > 1 %}<li>Seeds repeat the study to show how much is chance. Each is accounted for as the only training, as
it is where hospitals train once; in a simulation nobody's data leaves. All {{ seeds }} trainings on the same patients
would cost what the last column says.</li>{% endif %}
<li>Every site adds noise of its own before anything leaves it: the epsilon holds against the coordinator and the other
sites, too. Fewer patients a site means less signal under the same noise.</li>
<li>Figures of an evaluation and counts are not covered; see the report of each run. Accountant: {{ accountant }}.</li>
</ul>
</section></main>
<footer><p>Runs: {{ runs | join(", ") }}.</p></footer>
</body>
</html>
"""


def write(plan: Plan, found: Mapping[float, Sequence[Results]], path: Path) -> tuple[Curve, ...]:
    """Write the page and return what it shows."""
    shown = curves(plan, found)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    results = [one for of_epsilon in found.values() for one in of_epsilon]
    sites = [site.name for site in results[0].sites]
    head, *sentences = _answer(shown)
    page = environment.from_string(_PAGE).render(
        css=Markup(CSS),
        plan=plan,
        headline=head,
        sentences=sentences,
        seeds=len(plan.seeds),
        picture=Markup(draw(shown, sites)),
        tables=[(curve, list(_figures(curve, sites))) for curve in shown],
        head=["Epsilon", "All patients", *(["Lowest and highest seed"] if len(plan.seeds) > 1 else []), *sites],
        promises=[(curve.name, list(_promises(curve, len(plan.seeds)))) for curve in shown],
        promise_head=_promise_head(len(plan.seeds)),
        records=RECORDS,
        accountant=next((one.privacy.accountant for one in results if one.privacy), "none"),
        synthetic=any(one.synthetic for one in results),
        runs=[one.run for one in results],
    )
    write_atomic(path, page.encode(), mode=0o644)
    return shown


def written(epsilon: float) -> str:
    """Write an epsilon as a reader does."""
    return "∞" if math.isinf(epsilon) else f"{epsilon:g}"


def overall(at: Point) -> str:
    """Write the AUROC over all patients with its interval."""
    figure = at.figures.get(OVERALL)
    return f"{point(figure.value)} ({span(figure)})" if figure else "withheld"


def draw(shown: Sequence[Curve], sites: Sequence[str]) -> str:
    """Draw AUROC with its interval at every epsilon, evenly spaced, over all patients and at each site; inline SVG."""
    panels = [OVERALL, *sites] if 1 < len(sites) <= 5 else [OVERALL]
    rows = math.ceil(len(panels) / 3)
    with canvas(2.9 * rows, 9.6 if len(panels) > 1 else 6.2) as (figure, finish):
        places = figure.subplots(rows, min(3, len(panels)), sharey=True, squeeze=False).flatten()
        for axes in places[len(panels) :]:
            axes.set_visible(False)
        for axes, site in zip(places, panels, strict=False):
            ends = [end for curve, color, shift in _styled(shown) for end in _line(axes, curve, site, color, shift)]
            axes.set_title("All patients" if site == OVERALL else site, fontsize=9, color=QUIET, loc="left")
            axes.set_xticks(range(len(shown[0].at)), [written(one) for one in shown[0].at])
            axes.set_xlabel("Epsilon, a patient")
            if site == panels[0]:
                axes.set_ylabel("AUROC")
                first = axes, ends
        if len(shown) > 1:
            names_beside(*first, rows)
    return finish("privacy-curve", "AUROC against epsilon")


def _styled(shown: Sequence[Curve]) -> Iterator[tuple[Curve, str, float]]:
    for place, (curve, color) in enumerate(zip(shown, itertools.cycle(COLORS), strict=False)):
        yield curve, color, (place - (len(shown) - 1) / 2) * 0.14


def _line(axes: object, curve: Curve, site: str, color: str, shift: float) -> Iterator[tuple[float, float, str, str]]:
    known = [(x + shift, at, at.figures[site]) for x, at in enumerate(curve.at.values()) if site in at.figures]
    xs = [x for x, _, _ in known]
    axes.plot(xs, [one.value for _, _, one in known], "o-", color=color, markersize=4.5)  # type: ignore[attr-defined]
    axes.vlines(  # type: ignore[attr-defined]
        xs, [one.low for _, _, one in known], [one.high for _, _, one in known], colors=color, linewidth=1.2
    )
    for x, at, _ in known if site == OVERALL else ():
        if len(at.seeds) > 1:
            axes.plot([x] * len(at.seeds), at.seeds, ".", color=color, alpha=0.45, markersize=5)  # type: ignore[attr-defined]
    if known:
        yield xs[-1], known[-1][2].value, curve.name, color


def _answer(shown: Sequence[Curve]) -> Iterator[str]:
    """Yield a headline on the curve that ends highest, then a sentence a curve."""
    told = [(curve.name, {e: at.figures[OVERALL].value for e, at in curve.at.items() if OVERALL in at.figures})
            for curve in shown]  # fmt: skip
    name, best = max(told, key=lambda one: one[1][max(one[1])] if one[1] else 0.0)
    if len(best) > 1:
        low, high = min(best), max(best)
        without = "without noise" if math.isinf(high) else f"at epsilon = {written(high)}"
        yield f"{name}: AUROC {point(best[high])} {without}, {point(best[low])} at epsilon = {written(low)}."
    else:
        yield "AUROC at one epsilon." if best else "The figures over all patients are withheld."
    for curve in shown:
        known = {epsilon: at.figures[OVERALL] for epsilon, at in curve.at.items() if OVERALL in at.figures}
        if not known:
            yield f"{curve.name}: the figures over all patients are withheld."
            continue
        most = max(known)
        parts = [
            f"{point(one.value)} at epsilon {written(epsilon)}"
            + (f" ({one.value - known[most].value:+.3f})".replace("-", "−") if epsilon != most else "")
            for epsilon, one in known.items()
        ]
        yield f"{curve.name}: AUROC {', '.join(parts)}."


def _figures(curve: Curve, sites: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    for epsilon, at in curve.at.items():
        cells = []
        for site in (OVERALL, *sites):
            figure = at.figures.get(site)
            cells.append((point(figure.value), span(figure)) if figure else ("withheld", ""))
        if len(at.seeds) > 1:
            cells.insert(1, (f"{point(min(at.seeds))}–{point(max(at.seeds))}", ""))
        yield [(written(epsilon), ""), *cells]


def _promise_head(seeds: int) -> list[str]:
    head = ["Epsilon", "Found of 100 patients, at most", "Noise multiplier", "Sampling", "Steps"]
    head.append(f"Records protected instead: patient with {RECORDS}")
    return [*head, f"All {seeds} seeds together"] if seeds > 1 else head


def _promises(curve: Curve, seeds: int) -> Iterator[list[tuple[str, str]]]:
    for epsilon, at in curve.at.items():
        share = 100 * found_out(epsilon, curve.delta, FALSE_ALARMS)
        told = _spent(at.spent, seeds) if at.spent else ["none", *["–"] * (4 if seeds > 1 else 3)]
        yield [(written(epsilon), ""), (f"{share:.3g}", ""), *((text, "") for text in told)]


def _spent(spent: PrivateStage, seeds: int) -> list[str]:
    told = [number(spent.noise_multiplier), f"{spent.sample_rate:.3g}", f"{spent.steps:,}"]
    told.append(f"ε = {accountant.figure(of_many_records(spent))}")
    return [*told, f"ε = {accountant.figure(composed(spent, seeds))}"] if seeds > 1 else told
