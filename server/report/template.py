"""Jinja template of the report; a Python string because app bundles carry no HTML files."""

PAGE = """
{%- macro table(caption, head, rows, look="") -%}
<div class="scroll"><table class="{{ look }}" aria-label="{{ caption }}">
<thead><tr>{% for cell in head %}<th scope="col">{{ cell | unbroken }}</th>{% endfor %}</tr></thead>
{{ body(rows) }}</table></div>
{%- endmacro -%}
{%- macro figures(caption, rows, lines, of="Held-out patients of", look="overall") -%}
<div class="scroll"><table class="{{ look }}" aria-label="{{ caption }}">
<thead><tr><th scope="col">{{ of }}</th>
{%- for line in lines %}
<th scope="col"><span class="swatch" style="background:{{ line.color }}"></span>{{ line.label | unbroken }}</th>
{%- endfor %}</tr></thead>
{{ body(rows) }}</table></div>
{%- endmacro -%}
{%- macro body(rows) -%}
<tbody>{% for row in rows %}<tr><th scope="row">{{ row.heading }}</th>
{%- for cell in row.cells %}<td{% if cell.look %} class="{{ cell.look }}"{% endif %}
{%- if cell.shade %} style="background:{{ cell.shade }}"{% endif %}>
{%- if cell.code %}<code>{{ cell.text }}</code>{% else %}{{ cell.text }}{% endif %}
{%- if cell.note %}<small>{{ cell.note }}</small>{% endif %}</td>{% endfor %}</tr>
{% endfor %}</tbody>
{%- endmacro -%}
{%- macro plot(title, text, svg, key=()) -%}
<figure><figcaption><h3>{{ title }}</h3>{{ text }}
{%- if key %}<ul class="key">
{%- for line in key %}<li><i style="background:{{ line.color }}"></i>{{ line.label }}</li>{% endfor %}</ul>
{%- endif -%}
</figcaption>{{ svg }}</figure>
{%- endmacro -%}
{%- macro of_label(view, suffix) -%}
{%- set of = ", " ~ view.name if suffix else "" -%}
<section id="figures{{ suffix }}">
<h2>Who predicts best, and where</h2>
<p class="lead">AUROC with its 95 % interval on patients no model was trained on. The highest figure of a row is bold
{%- if view.has_reference %}; the published score is left out of that, because it covers only the patients that have it
{%- endif %}.</p>
{{ figures("AUROC" ~ of, view.auroc, view.lines) }}
{% for name, rows in view.further %}
<details><summary>{{ name }}<small>{{ metric_notes[name] }}</small></summary>
{{ figures(name ~ of, rows, view.lines) }}</details>
{% endfor %}
</section>

{% if view.site_alone %}
<section id="site-alone{{ suffix }}">
<h2>What the site alone tells</h2>
<p class="lead">{{ view.site_alone.lead }}</p>
{{ table("AUROC within and between sites" ~ of, site_alone_head, view.site_alone.rows) }}
</section>
{% endif %}

{% if view.networks %}
<section id="networks{{ suffix }}">
<h2>Models, alone and together</h2>
<p class="lead">Each model as sites trained it alone, together, and on all rows in one place where a simulation can;
over all held-out patients. The best of a column is bold.</p>
{% for name, rows in view.networks %}
<h3>{{ name }}</h3>
{{ table("Figures of " ~ name ~ of, ["Trained"] + metrics, rows) }}
{% endfor %}
</section>
{% endif %}

{% if view.curves or view.forest %}
<section id="plots{{ suffix }}">
<h2>All held-out patients together</h2>
<p class="lead">
{%- if view.curves %}Drawn from counts of stays per score bin, summed over sites
{%- if seeds > 1 %} and over {{ seeds }} seeds{% endif %}. No patient's score left a site.
{%- else %}The plan shares figures only, so there are no counts to draw curves from.{% endif %}
{%- if view.several %} Of several models, those of all sites together are drawn.{% endif %}</p>
<div class="plots">
{% for figure in view.curves %}{{ plot(figure.title, figure.text, figure.svg) }}{% endfor %}
{% if view.forest %}{{ plot(view.forest.title, view.forest.text, view.forest.svg, view.pictured) }}{% endif %}
</div>
</section>
{% endif %}

{% if view.matrix %}
<section id="matrix{{ suffix }}">
<h2>Every model at every site</h2>
<p class="lead">AUROC of the model in the row on the patients of the site in the column; darker is better.
Framed: a site's own model at home. A row that stays dark is a model that travels well.</p>
{{ table("AUROC of every model at every site" ~ of, ["Model"] + ["All patients"] + sites, view.matrix, "heat") }}
</section>
{% endif %}
{%- endmacro -%}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ plan.title }} · Fedward</title>
<style>{{ css }}</style>
</head>
<body>
<header>
<p><span class="brand">Fedward</span>
{%- if label %}&ensp;<strong class="badge">{{ label }}</strong>{% endif %}</p>
<h1>{{ plan.title }}</h1>
<dl class="facts">
{%- for name, value in facts %}<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>{% endfor %}</dl>
<div class="answer"><h2>{{ answer.headline }}</h2>
{%- for sentence in answer.sentences %}<p>{{ sentence }}</p>{% endfor %}</div>
<dl class="tiles">{% for tile in tiles %}<div><dt>{{ tile.heading }}</dt><dd>{{ tile.cells[0].text }}</dd>
{%- if tile.cells[0].note %}<small>{{ tile.cells[0].note }}</small>{% endif %}</div>{% endfor %}</dl>
</header>
<main>

{% if together %}
<section id="labels">
<h2>Which label is predicted by what</h2>
<p class="lead">AUROC over all held-out patients with its 95 % interval; the highest of a row is bold. The mean over
labels has no interval, because the counts do not tell which patients have several; means compare when they are over
the same labels.</p>
{% if together.plot %}<div class="wide">{{ plot(together.plot.title, together.plot.text, together.plot.svg,
together.federated) }}</div>{% endif %}
{{ figures("AUROC by label", together.figures, together.federated, "Label", "total") }}
{% if together.further %}<details><summary>Alone, averaged and pooled<small>the same figures of the other candidates
</small></summary>{{ figures("AUROC by label of the others", together.further, together.others, "Label", "total") }}
</details>{% endif %}
</section>
<section id="each">
<h2>Label by label</h2>
{% for view in views %}<details><summary>{{ view.name }}<small>{{ view.note }}</small></summary>
{{ of_label(view, "-" ~ loop.index) }}</details>
{% endfor %}</section>
{% else %}
{{ of_label(views[0], "") }}
{% endif %}

{% if histories %}
<section id="rounds">
<h2>What it took</h2>
<div class="plots">
{% for figure in histories %}{{ plot(figure.title, figure.text, figure.svg) }}{% endfor %}
</div>
</section>
{% endif %}

{% if privacy %}
<section id="privacy">
<h2>What privacy was spent</h2>
<p class="lead">{{ privacy.lead }}</p>
{{ table("Privacy", privacy.head, privacy.rows, "total" if privacy.rows | length > 1 else "") }}
<div class="plots">
{% if privacy.plot %}{{ plot(privacy.plot.title, privacy.plot.text, privacy.plot.svg) }}{% endif %}
<ul class="notes">{% for note in privacy.notes %}<li>{{ note }}</li>{% endfor %}</ul>
</div>
</section>
{% endif %}

<section id="sites">
<h2>Sites</h2>
<p class="lead">Whole cohorts, before patients are held out.
{%- if results.description and results.description.epsilon %} Counts carry noise; {{ units }} were not counted.
{%- else %} Counts from 1 to {{ results.minimum_cell - 1 }} are
withheld by each site, and counts from which one could be worked out.{% endif %}</p>
{{ table("Sites", ["Site", "Patients", units[0] | upper ~ units[1:]] + outcomes, cohort,
         "total" if cohort | length > sites | length else "") }}
</section>

{% if description %}
<section id="description">
<h2>What the sites' data looks like</h2>
<p class="lead">{{ description.lead }}</p>
{{ table("Prevalence", ["Label"] + ["All sites"] + sites, description.prevalence) }}
{% if description.wide %}<div class="wide">
{{ plot(description.wide.title, description.wide.text, description.wide.svg, site_key) }}</div>{% endif %}
{% if description.plots %}<div class="plots">
{% for figure in description.plots %}{{ plot(figure.title, figure.text, figure.svg) }}{% endfor %}</div>{% endif %}
{% if description.numbers %}
<details><summary>Means and quantiles<small>quantiles from the histograms of all sites, to the width of a bin
</small></summary>
{{ table("Means and quantiles", number_heads, description.numbers) }}</details>
{% endif %}
{% if description.means %}
<details><summary>Means at each site<small>with the standard deviation; withheld where they could tell a small count
</small></summary>
{{ table("Means at each site", ["Feature"] + sites, description.means) }}</details>
{% endif %}
{% if description.categories %}
<details><summary>Categories<small>shares of the known values</small></summary>
{{ table("Categories", ["Feature"] + ["All sites"] + sites, description.categories) }}</details>
{% endif %}
</section>
{% endif %}

<section id="details">
<h2>Details</h2>
<details><summary>How it was measured</summary>
<ul class="notes">{% for note in measured %}<li>{{ note }}</li>{% endfor %}</ul></details>
<details{% if absences or results.decisions %} open{% endif %}><summary>Missing sites and decisions
{%- if not absences %}<small>nobody was missing</small>{% endif %}</summary>
{% if absences %}{{ table("Missing sites", ["Site", "When", "Why"], absences, "text") }}{% endif %}
{% if results.decisions %}
<ul class="notes">{% for decision in results.decisions %}<li>{{ decision }}</li>{% endfor %}</ul>
{% elif not absences %}
<p>Every invited site answered in every round, and no rule had to decide anything.</p>
{% endif %}</details>
{% if exchanges %}
<details><summary>Bytes and seconds<small>by stage, all repetitions and sites together</small></summary>
{{ table("Exchanges", ["Stage", "Rounds", "To sites", "From sites", "Time", "A round"], exchanges) }}</details>
{% endif %}
{% if excluded %}
<details><summary>{{ units[0] | upper ~ units[1:] }} excluded<small>by inclusion rule</small></summary>
{{ table("Excluded stays", ["Rule"] + sites, excluded) }}</details>
{% endif %}
<details><summary>Model card<small>what whoever is given a model has to know</small></summary>
<ul class="notes">{% for term, text in card %}<li><b>{{ term }}:</b> {{ text }}</li>{% endfor %}</ul></details>
<details><summary>Models<small>files in the run's folder</small></summary>
{{ table("Models", ["Model", "Label", "Seed", "Fold", "Trees", "Size", "File", "SHA-256"], models, "text") }}</details>
<details><summary>Plan<small>SHA-256 <code>{{ results.plan_digest }}</code></small></summary>
<pre>{{ plan_text }}</pre></details>
<details><summary>Versions</summary>{{ table("Versions", ["Software", "Version"], versions, "text") }}</details>
</section>
</main>
<footer>{% for credit in credits %}<p>{{ credit }}</p>{% endfor %}
<p>The numbers behind this page are in <code>metrics.json</code> beside it.
A research result, not a medical device.</p></footer>
</body>
</html>
"""
