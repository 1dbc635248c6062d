"""A site's privacy budget as one self-contained HTML page."""

from __future__ import annotations

from datetime import UTC, date, datetime

import jinja2
from markupsafe import Markup

from client.budget.account import Account
from client.budget.picture import draw
from client.check.style import CSS
from common.privacy.accountant import figure

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Privacy budget · {{ account.site }} · Fedward</title>
<style>{{ css }} .picture svg { max-width: 100%; height: auto; }
  td.wide { white-space: normal; min-width: 14rem; }</style>
</head>
<body>
<header>
<p><span class="brand">Fedward</span>&ensp;privacy budget</p>
<h1>{{ account.site }}</h1>
<dl class="facts"><div><dt>Read on</dt><dd>{{ on }}</dd></div><div><dt>Unit</dt><dd>one patient, more or less</dd></div>
<div><dt>Delta</dt><dd>{{ "%g" | format(account.budget.delta) }}</dd></div>
<div><dt>Accountant</dt><dd>{{ account.accountant }}</dd></div></dl>
<dl class="tiles"><div><dt>epsilon spent, with noise</dt><dd>{{ figure(account.spent) }}</dd></div>
<div><dt>epsilon left</dt>
<dd>{{ "no budget set" if account.left is none else "%.3g" | format(account.left) }}</dd></div>
<div><dt>releases in the ledger</dt><dd>{{ account.lines | length }}</dd></div>
<div><dt>of them without noise</dt><dd>{{ account.unprotected }}</dd></div></dl>
</header>
<main>
{% if account.unprotected %}<div class="answer refused"><h2>Some releases carried no noise</h2>
<p>Nothing bounds what they tell about a patient: no epsilon stands for all that left this site. The figures above are
for the other releases.</p></div>{% endif %}
{% if account.lines %}<section><h2>How it was spent</h2>
<figure class="picture">{{ picture }}</figure></section>
<section><h2>Releases</h2>
<p class="lead">A release counts from the moment it is reserved, before any noise is drawn. What was reserved and not
stored was interrupted; it may have been seen, so it counts.</p>
<div class="scroll"><table aria-label="Releases"><thead><tr><th>Release</th><th class="text">When (UTC)</th>
<th class="text">Plan</th><th class="text">Run</th><th class="text">Mechanism</th><th class="text">Stored</th>
<th>Epsilon so far</th></tr></thead><tbody>
{% for line in account.lines %}<tr><th scope="row">{{ loop.index }}. {{ line.purpose }}</th>
<td class="text">{{ when(line.time) }}</td><td class="text">{{ line.plan }}</td><td class="text">{{ line.run }}</td>
<td class="text wide{{ ' leak' if line.unprotected }}">{{ line.mechanism }}</td>
<td class="text">{{ "" if line.unprotected else "yes" if line.stored else "no" }}</td>
<td>{{ figure(line.after) }}</td></tr>
{% endfor %}</tbody></table></div></section>
{% else %}<section><p>Nothing was released from this site yet.</p></section>{% endif %}
</main>
<footer><p>Epsilon is composed over everything above, whatever run, plan or model it was for. It speaks of this site's
releases; a patient who is known at several hospitals has one such figure at each of them.</p></footer>
</body>
</html>
"""


def render(account: Account, on: date) -> str:
    """Write the page; ``on`` is when."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(PAGE).render(
        css=Markup(CSS), account=account, on=on.isoformat(), figure=figure, when=when, picture=Markup(draw(account))
    )


def when(time: float) -> str:
    """Write a moment to the minute, in UTC."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M}"
