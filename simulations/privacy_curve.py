"""One plan at several epsilons: what privacy costs in AUROC, as a page with one picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from common.exceptions import PlanError
from common.page_style import CSS
from common.plan import Plan, from_json
from common.serialization import canonical, parse, write_atomic
from server.report.answer import point, span
from server.report.drawing import canvas, names_beside
from server.report.labels import views
from server.results import OVERALL, Interval, Results

COLORS = ("#0072b2", "#d55e00", "#00875f", "#5d3a9b", "#c07d00", "#3c8fc4", "#b1568c")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ plan.title }}: what privacy costs · Fedward</title>
<style>{{ css }} figure, .scroll { max-width: 46rem; } svg { width: 100%; height: auto; }
small { display: block; font-weight: 400; }</style>
</head>
<body>
<header><p><span class="brand">Fedward</span>
{%- if synthetic %}&ensp;<strong class="badge">SYNTHETIC DATA</strong>{% endif %}</p>
<h1>{{ plan.title }}: what privacy costs</h1></header>
<main><section>
<h2>AUROC against epsilon</h2>
<p class="lead">The federated networks that are trained with noise, over all held-out patients, with 95 % intervals;
{{ "means over " ~ seeds ~ " seeds" if seeds > 1 else "one seed" }}. Epsilon is of one patient, over all
rounds, seeds and folds of a stage, at the delta in the table; ∞ is training
without noise and clipping that looks at each patient as often.</p>
<figure>{{ picture }}</figure>
<div class="scroll"><table aria-label="AUROC by epsilon"><thead><tr><th scope="col">Epsilon</th>
{%- for curve in curves %}<th scope="col">{{ curve.name }}<small>delta {{ curve.delta }}</small></th>{% endfor %}
</tr></thead><tbody>
{% for epsilon in epsilons %}<tr><th scope="row">{{ written(epsilon) }}</th>
{%- for curve in curves %}{% set found = curve.at[epsilon] %}
<td>{% if found %}{{ point(found.value) }}<small>{{ span(found) }}</small>{% else %}withheld{% endif %}</td>
{%- endfor %}</tr>
{% endfor %}</tbody></table></div>
</section></main>
<footer><p>What is not covered by epsilon, and the accountant: in the report of each run,
{{ runs | join(", ") }}.</p></footer>
</body>
</html>
"""


@dataclass(frozen=True)
class Curve:
    """AUROC of one stage's network by epsilon, None where withheld; infinity is without noise."""

    name: str
    delta: float
    at: dict[float, Interval | None]


def read_epsilons(text: str) -> tuple[float, ...]:
    """Read ``0.5,1,inf``, ascending.

    Raises
    ------
    PlanError
        Not numbers above 0, or one twice.
    """
    try:
        found = sorted(float(one) for one in text.split(","))
    except ValueError:
        found = []
    if not found or len(set(found)) != len(found) or not all(one > 0 for one in found):
        raise PlanError("epsilons are numbers above 0, each once, separated by commas; inf is without noise")
    return tuple(found)


def at_epsilon(plan: Plan, epsilon: float) -> Plan:
    """Return the plan with another epsilon in all its stages with noise.

    At infinity there is no noise and no clipping, and a round has as many epochs as a private one looks at each
    patient on average.

    Raises
    ------
    PlanError
        No stage is trained with noise.
    """
    tree = parse(plan.to_json())
    stages = [stage for stage in tree["stages"] if stage.get("privacy")]
    if not stages:
        raise PlanError(f"plan {plan.name} has no encoder stage with 'privacy', so there is no curve to draw")
    for stage in stages:
        if math.isinf(epsilon):
            stage |= plan.encoder(stage["name"]).without_noise().model_dump(mode="json")
        else:
            stage["privacy"] |= {"epsilon": epsilon, "noise_multiplier": None}
    return from_json(canonical(tree).decode())


def measure(plan: Plan, epsilons: Sequence[float], run: Callable[[Plan, float], Results]) -> dict[float, Results]:
    """Run the plan once an epsilon."""
    return {epsilon: run(at_epsilon(plan, epsilon), epsilon) for epsilon in epsilons}


def curves(plan: Plan, found: dict[float, Results]) -> tuple[Curve, ...]:
    """Take the overall AUROC of every stage with noise out of the results."""
    at: dict[float, dict[str, Interval | None]] = {}
    for epsilon, results in found.items():
        at[epsilon] = {
            _named(line.name, view.name, plan): line.at(OVERALL)
            for view in views(results, from_json(results.plan))
            for line in view.lines
            if line.kind == "federated"
        }
    private = [
        (_named(stage.name, label, plan), stage.privacy)
        for stage in plan.encoders
        for label in plan.label_names
        if stage.privacy
    ]
    return tuple(
        Curve(name, how.delta, {epsilon: told.get(name) for epsilon, told in at.items()}) for name, how in private
    )


def _named(stage: str, label: str, plan: Plan) -> str:
    """Name a curve; of several labels each has its own."""
    return stage if len(plan.label_names) == 1 else f"{stage}, {label}"


def write(plan: Plan, found: dict[float, Results], path: Path) -> tuple[Curve, ...]:
    """Write the page and return what it shows."""
    shown = curves(plan, found)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(_PAGE).render(
        css=Markup(CSS),
        plan=plan,
        seeds=len(plan.seeds),
        curves=shown,
        epsilons=list(found),
        synthetic=any(results.synthetic for results in found.values()),
        runs=[results.run for results in found.values()],
        picture=Markup(draw(shown)),
        written=written,
        point=point,
        span=span,
    )
    write_atomic(path, page.encode(), mode=0o644)
    return shown


def written(epsilon: float) -> str:
    """Write an epsilon as a reader does."""
    return "∞" if math.isinf(epsilon) else f"{epsilon:g}"


def draw(shown: Sequence[Curve]) -> str:
    """Draw AUROC with its interval at every epsilon, evenly spaced, as inline SVG."""
    epsilons = list(shown[0].at)
    with canvas(3.6, 6.2) as (figure, finish):
        axes = figure.subplots()
        ends = []
        for place, (curve, color) in enumerate(zip(shown, itertools.cycle(COLORS), strict=False)):
            shift = (place - (len(shown) - 1) / 2) * 0.06
            known = [(x + shift, one) for x, one in enumerate(curve.at.values()) if one]
            xs = [x for x, _ in known]
            axes.plot(xs, [one.value for _, one in known], "o-", color=color, markersize=4.5)
            axes.vlines(xs, [one.low for _, one in known], [one.high for _, one in known], colors=color, linewidth=1.2)
            if known:
                ends.append((xs[-1], known[-1][1].value, curve.name, color))
        axes.set_xticks(range(len(epsilons)), [written(one) for one in epsilons])
        axes.set_xlabel("Epsilon, a patient")
        axes.set_ylabel("AUROC")
        names_beside(axes, ends)
    return finish("privacy-curve", "AUROC against epsilon")
