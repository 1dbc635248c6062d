"""Jinja template of the check's page; a Python string because app bundles carry no HTML files."""

PAGE = """
{%- macro bar(share) -%}
<td class="bar"><span><i style="width:{{ (100 * share) | round(1) }}%"></i></span></td>
{%- endmacro -%}
{%- macro associations(rows) -%}
<div class="scroll"><table aria-label="Features"><thead><tr><th>Feature</th>
{%- if several %}<th class="text">Label</th>{% endif %}<th>Rows</th><th>Point-biserial</th><th>Spearman</th>
<th>AUROC</th><th>AUROC of missing</th><th></th></tr></thead><tbody>
{% for one in rows %}<tr><th scope="row">{{ one.feature }}</th>
{%- if several %}<td class="text">{{ one.label }}</td>{% endif %}<td>{{ number(one.known) }}</td>
<td>{{ signed(one.correlation) }}</td><td>{{ signed(one.rank_correlation) }}</td><td>{{ signed(one.auroc) }}</td>
<td>{{ signed(one.auroc_of_missing) }}</td><td class="leak">{{ "leak?" if one.suspicious }}</td></tr>
{% endfor %}</tbody></table></div>
{%- endmacro -%}
{%- macro refusals(title, found) -%}
{% for why, rows in found.items() %}<tr><th scope="row">{{ title }}: {{ why }}</th>
<td>{{ number(rows | length) }}</td><td class="text">{{ listed(rows) }}</td></tr>{% endfor %}
{%- endmacro -%}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data check · {{ task.title }} · Fedward</title>
<style>{{ css }}</style>
</head>
<body>
<header>
<p><span class="brand">Fedward</span>&ensp;data check
{%- if checked.synthetic %}&ensp;<strong class="badge">SYNTHETIC</strong>{% endif %}</p>
<h1>{{ task.title }}</h1>
<dl class="facts">
{%- for name, value in facts %}<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>{% endfor %}</dl>
<div class="answer{{ '' if verdict.usable else ' refused' }}">
<h2>{{ "The data can be used" if verdict.usable else "The data cannot be used as it is" }}</h2>
{% if verdict.errors %}<ul>
{% for error in verdict.errors %}<li class="error">{{ error }}</li>{% endfor %}</ul>{% endif %}
{% if verdict.warnings %}<h3>Look at</h3>
<ul>{% for warning in verdict.warnings %}<li>{{ warning }}</li>{% endfor %}</ul>
{% elif verdict.usable %}<p>Nothing stands out.</p>{% endif %}
<h3>Privacy</h3><p>{{ verdict.privacy }}</p>
</div>
{% if tiles %}<dl class="tiles">{% for value, name in tiles %}
<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>{% endfor %}</dl>{% endif %}
</header>
<main>

<section id="files">
<h2>Files</h2>
<p class="lead">Files that the data source asks for by name; others are counted by their ending alone.</p>
{% if checked.inventory.read %}<div class="scroll"><table aria-label="Files"><thead><tr><th>File</th><th>Rows</th>
<th>Columns</th><th>Size</th></tr></thead><tbody>
{% for file in checked.inventory.read %}<tr><th scope="row">{{ file.name }}</th><td>{{ number(file.rows) }}</td>
<td>{{ number(file.columns) }}</td><td>{{ size(file.size) }}</td></tr>{% endfor %}</tbody></table></div>{% endif %}
{% if checked.inventory.others %}<p class="lead">Not read by name:
{% for kind, count in checked.inventory.others.items() %}{{ number(count) }} {{ kind }}{{ ", " if not loop.last }}
{%- endfor %}.</p>{% endif %}
{% if checked.sizes %}<p>Read:
{% for name, count in checked.sizes.items() %}{{ number(count) }} {{ name }}{{ ", " if not loop.last }}
{%- endfor %}.</p>{% endif %}
{% for why, count in checked.left_out.items() %}<p>Left out: {{ number(count) }} {{ why }}.</p>{% endfor %}
</section>

{% if checked.films %}{% set films = checked.films %}
<section id="films">
<h2>Films</h2>
<p class="lead">{{ number(films.decoded) }} of {{ number(films.kept) }} usable films were decoded, evenly drawn.
Rows are those of the list that names the films, or their place among the sorted files.</p>
<div class="scroll"><table aria-label="Films"><thead><tr><th></th><th>Films</th><th class="text">Rows, such as</th></tr>
</thead><tbody><tr><th scope="row">listed</th><td>{{ number(films.listed) }}</td><td></td></tr>
{{ refusals("refused", films.refused) }}{{ refusals("cannot be decoded", films.broken) }}
{% for view, count in films.views.items() %}<tr><th scope="row">projection {{ view or "unknown" }}</th>
<td>{{ number(count) }}</td><td></td></tr>{% endfor %}</tbody></table></div>
</section>
{% endif %}

{% if implausible %}
<section id="ranges">
<h2>Values outside their plausible range</h2>
<p class="lead">They count as missing. Rows are data rows of the file, or places of records in an archive.
When nearly all lie on one side, part of the values may be in another unit.</p>
<div class="scroll"><table aria-label="Implausible values"><thead><tr><th>File and field</th><th>Plausible</th>
<th>Values</th><th>Below</th><th>Above</th><th>Share</th><th class="text">Rows, such as</th></tr></thead><tbody>
{% for one in implausible %}<tr><th scope="row">{{ one.field }}<small>{{ one.file }}</small></th>
<td>{{ limits(one.low, one.high, one.unit) }}</td><td>{{ number(one.values) }}</td><td>{{ number(one.below) }}</td>
<td>{{ number(one.above) }}</td><td>{{ percent(one.count / one.values) }}</td>
<td class="text">{{ listed(one.rows) }}</td></tr>{% endfor %}</tbody></table></div>
</section>
{% endif %}

{% if cohort %}
<section id="flow">
<h2>Who is left</h2>
<p class="lead">Every inclusion rule in the order it is applied. One row is one {{ task.unit }}; the prediction is made
{{ task.prediction_time }}.</p>
<div class="picture">{{ pictures.flow }}</div>
</section>

<section id="labels">
<h2>Answers</h2>
<p class="lead">{{ labels_lead }}</p>
<div class="scroll"><table aria-label="Labels"><thead><tr><th>Label</th><th>Yes</th><th>No</th><th>Unknown</th>
<th>Patients with a yes</th><th>Prevalence</th><th></th></tr></thead><tbody>
{% for one in cohort.labels %}<tr><th scope="row">{{ one.name }}
{%- if one.meaning != one.name | replace("_", " ") %}<small>{{ one.meaning }}</small>{% endif %}</th>
<td>{{ number(one.yes) }}</td><td>{{ number(one.no) }}</td><td>{{ number(one.unknown) }}</td>
<td>{{ number(one.people) }}</td><td>{{ percent(one.prevalence) }}</td>
{{ bar(one.prevalence if one.yes + one.no else 0) }}</tr>{% endfor %}</tbody></table></div>
{% if pictures.together %}
<figure><figcaption>In how many rows both labels are yes; on the diagonal, the label itself. Darker: a larger share of
the rows of the label on the left.</figcaption><div class="picture">{{ pictures.together }}</div></figure>
{% endif %}
</section>

{% if cohort.modalities | length > 1 %}
<section id="modalities">
<h2>What the rows have</h2>
<p class="lead">By its prediction time, how many rows have anything of a modality, and which come together.</p>
<div class="scroll"><table aria-label="Modalities"><thead><tr><th>Rows</th><th>Share</th>
{%- for name in cohort.modalities %}<th class="dots">{{ name }}</th>{% endfor %}<th></th></tr></thead><tbody>
{% for names, rows in cohort.overlap.items() %}<tr><th scope="row">{{ number(rows) }}</th>
<td>{{ percent(rows / cohort.rows) }}</td>
{%- for name in cohort.modalities %}
<td class="dots{{ ' on' if name in names }}">{{ "●" if name in names else "○" }}</td>
{%- endfor %}{{ bar(rows / cohort.rows) }}</tr>{% endfor %}
<tr><th scope="row">any</th><td></td>{% for name, rows in cohort.modalities.items() %}
<td class="centre">{{ percent(rows / cohort.rows) }}</td>{% endfor %}<td></td></tr></tbody></table></div>
</section>
{% endif %}

{% if pictures.missing %}
<section id="missing">
<h2>What is missing</h2>
<p class="lead">Share of rows without the variable by the prediction time{{ looked_at }}. The most incomplete first
{%- if hidden %}; {{ number(hidden) }} more below{% endif %}. What is missing more often of one answer tells it.</p>
<div class="picture">{{ pictures.missing }}</div>
<details><summary>All variables<small>{{ number(cohort.missing | length) }}</small></summary>
<div class="scroll"><table aria-label="Missing values"><thead><tr><th>Variable</th>
{%- for name, rows in cohort.groups %}<th>{{ name }}</th>{% endfor %}</tr></thead><tbody>
{% for one in cohort.missing %}<tr><th scope="row">{{ one.variable }}</th>
{%- for share in one.shares %}<td>{{ percent(share) }}</td>{% endfor %}</tr>{% endfor %}</tbody></table></div></details>
</section>
{% endif %}

{% if pictures.strongest %}
<section id="associations">
<h2>What tells the answer alone</h2>
<p class="lead">Area under the ROC curve of each feature on its own{{ looked_at }}: 0.5 tells nothing, below it low
values go with yes. Circle: of being missing. Beyond the dotted lines a feature tells the answer so well that it may be
a leak: something written down when the answer was known.</p>
<div class="picture">{{ pictures.strongest }}</div>
<details><summary>Table<small>the {{ number(strongest | length) }} strongest</small></summary>
{{ associations(strongest) }}</details>
</section>
{% endif %}
{% endif %}
</main>
<footer><p>Made at the site, for the site: small counts are shown here as they are, so this page is not to be passed on.
It holds no identifier of a patient; rows are numbers of lines in the site's own files.</p>
<p>A research tool, not a medical device.</p></footer>
</body>
</html>
"""
