"""The report says what the results say: the same numbers, nothing from outside, nothing unescaped."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from common.metrics import area_under_roc
from common.plan import read
from server.report.page import render, write
from server.report.summary import lines
from server.report.tables import duration, size
from server.results import OVERALL, Results, SiteSummary, StageHistory
from tests.server.studies import LABELS, SIZES, WITHHELD, Page, history_of, simulated, summary_of


@pytest.fixture(scope="module")
def results() -> Results:
    return simulated()


@pytest.fixture(scope="module")
def html(results) -> str:
    return render(results)


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_page_needs_nothing_from_outside(html, page):
    assert "://" not in html
    assert not re.search(r"url\((?!#)|@import", html)
    assert not {"script", "link", "iframe", "img", "object", "base"} & {tag for tag, _ in page.tags}
    targets = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("href", "src")]
    assert targets, "plots refer to their own markers"
    assert all(target.startswith("#") for target in targets)
    assert len(html) < 1_500_000


def test_every_reference_inside_the_page_meets_exactly_one_identifier(html, page):
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    assert set(re.findall(r"(?:href=\"|url\()#([^\")]+)", html)) <= set(identifiers)


def test_write_puts_the_same_bytes_into_the_folder(results, html, tmp_path):
    path = write(results, tmp_path)
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8") == html
    assert list(tmp_path.iterdir()) == [path]


def test_hostile_names_are_escaped():
    hostile = '<script>alert("1")</script>$\\frac{$'
    found = simulated(sizes={hostile: 300, "b&b": 250}, title=f"<img src=x onerror=1> {{{{ 7 * 7 }}}} {hostile}")
    found = found.model_copy(
        update={"decisions": (hostile,), "run": hostile, "versions": {hostile: hostile}, "stages": (
            StageHistory(name=hostile, seed=7, fold=0, rounds=history_of("fedxgb_cyclic", 7, 0, (hostile,)).rounds),
        )}
    )  # fmt: skip
    page = Page(render(found))
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert page.text.count(hostile) >= 8
    assert "{{ 7 * 7 }}" in page.text


def test_every_candidate_and_site_appears(page):
    for metric in ("AUROC", "AUPRC", "min(Se, +P)", "Brier score", "Calibration error"):
        head, *rows = page.tables[metric]
        assert [text for text, _ in head[1:]] == [*LABELS, "APACHE IVa"]
        assert [row[0][0] for row in rows] == ["All patients", *SIZES]


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        ("auroc", "AUROC"),
        ("auprc", "AUPRC"),
        ("min_se_ppv", "min(Se, +P)"),
        ("brier", "Brier score"),
        ("ece", "Calibration error"),
    ],
)
def test_figures_in_tables_are_those_of_the_results(results, page, metric, title):
    by_name = {c.name: {s.site: getattr(s, metric) for s in c.scores} for c in results.candidates}
    columns = {0: "fedxgb_bagging", 1: "fedxgb_cyclic", 3: "mean of local", 4: "pooled", 5: "APACHE IVa"}
    compared = 0
    for heading, *cells in page.tables[title][1:]:
        site = OVERALL if heading[0] == "All patients" else heading[0]
        for column, (text, note) in enumerate(cells):
            own = column == 2
            if own and site == OVERALL:
                continue
            figure = by_name[f"local/{site}" if own else columns[column]][site]
            if figure is None:
                assert (text, note) == ("withheld", "")
            else:
                assert [float(text), *map(float, note.split("–"))] == [
                    round(v, 3) for v in (figure.value, figure.low, figure.high)
                ]
                compared += 1
    assert compared == 4 * 6 + 5


def test_overall_figure_of_own_local_models_is_that_of_the_summed_counts(results, page):
    own = [s for c in results.candidates for s in c.scores if c.name == f"local/{s.site}" and s.positives]
    negatives, positives = (np.sum([getattr(s, name) for s in own], axis=0) for name in ("negatives", "positives"))
    text, note = page.tables["AUROC"][1][3]
    assert float(text) == round(float(area_under_roc(negatives, positives)), 3)
    low, high = map(float, note.split("–"))
    assert low < float(text) < high


def test_own_local_models_have_no_overall_figure_over_other_patients(results):
    candidates = tuple(
        c.model_copy(update={"scores": tuple(s for s in c.scores if s.site != "dunmore")})
        if c.name == "local/dunmore"
        else c
        for c in results.candidates
    )
    own = next(
        line
        for line in lines(results.model_copy(update={"candidates": candidates}), read("demo"))
        if line.kind == "local"
    )
    assert (OVERALL, "auroc") not in own.figures
    assert own.histogram is None


def test_matrix_shows_each_model_at_each_site(results, page):
    head, *rows = page.tables["AUROC of every model at every site"]
    assert [text for text, _ in head] == ["Model", "All patients", *SIZES]
    assert [row[0][0] for row in rows] == ["Federated bagging", "Federated cyclic", *SIZES]
    local = {c.name: {s.site: s.auroc for s in c.scores} for c in results.candidates}
    for row in rows[2:]:
        found = [local[f"local/{row[0][0]}"][site] for site in (OVERALL, *SIZES)]
        assert [text for text, _ in row[1:]] == [f"{f.value:.3f}" if f else "withheld" for f in found]


def test_withheld_counts_are_never_shown_as_a_number(page):
    rows = {row[0][0].removesuffix(" (SYNTHETIC)"): [text for text, _ in row[1:]] for row in page.tables["Sites"]}
    # Few survivors also withhold the deaths, so "<11" would be a guess there.
    assert rows[WITHHELD] == ["<11", "<11", "withheld"]
    assert rows["All sites"] == ["withheld"] * 3, "a sum would tell the withheld count"
    assert rows["dunmore"] == ["367", "380", "55"]
    excluded = {row[0][0]: [text for text, _ in row[1:]] for row in page.tables["Excluded stays"]}
    assert excluded == {
        "Rule": list(SIZES), "younger than 18": ["0"] * 5, "stay shorter than 4 hours": ["31"] * 4 + ["<11"],
    }  # fmt: skip


def test_sums_are_shown_when_nothing_is_withheld():
    known = Page(render(simulated(sizes={"a": 200, "b": 300})))
    assert [text for text, _ in known.tables["Sites"][-1]] == ["All sites", "474", "500", "72"]


def test_absences_are_joined_into_runs_of_rounds(page):
    assert page.tables["Missing sites"][1:] == [
        [("dunmore", ""), ("fedxgb_cyclic, seed 7, fold 0, rounds 11–12", ""), ("no reply in 120 s", "")]
    ]
    assert "went on without dunmore" in page.text


def test_traffic_and_models_are_listed(results, page):
    exchanged = {row[0][0]: [text for text, _ in row[1:]] for row in page.tables["Exchanges"]}
    assert exchanged["fedxgb_cyclic"][:3] == ["80", "449 kB", "104 kB"]
    digests = [row[-1][0] for row in page.tables["Models"][1:]]
    assert digests == [model.digest for model in results.models]
    assert results.plan_digest in page.text


def test_synthetic_data_are_called_so_and_real_data_credited(results, page):
    real = Page(render(results.model_copy(update={"synthetic": ()})))
    assert "SYNTHETIC DATA" in page.text
    assert "Open Database License" not in page.text
    assert "SYNTHETIC DATA" not in real.text
    assert "Open Database License" in real.text
    assert "Goldberger" in real.text
    assert "synthetic:" not in real.text


def test_a_mixture_is_named_marked_and_credited(results, page):
    mixed = Page(render(results.model_copy(update={"synthetic": ("dunmore", WITHHELD)})))
    assert f"SOME SITES ARE SYNTHETIC: dunmore, {WITHHELD}" in mixed.text
    assert "NO REAL PATIENTS" not in mixed.text
    assert "Open Database License" in mixed.text
    named = [row[0][0] for row in mixed.tables["Sites"][1:]]
    invented = ("dunmore", WITHHELD)
    assert named == [*(f"{s} (SYNTHETIC)" if s in invented else s for s in SIZES), "All sites"]
    assert [row[0][0] for row in page.tables["Sites"][1:-1]] == [f"{site} (SYNTHETIC)" for site in SIZES]


def test_counts_that_never_came_are_not_called_small(results):
    first, *others = results.sites
    missed = SiteSummary(name=first.name, counted=False, patients=None, stays=None, answers={}, excluded={})
    found = Page(render(results.model_copy(update={"sites": (missed, *others), "synthetic": ()})))
    rows = {row[0][0]: [text for text, _ in row[1:]] for row in found.tables["Sites"]}
    assert rows[first.name] == rows["All sites"] == ["–"] * 3
    assert [row[1][0] for row in found.tables["Excluded stays"][1:]] == ["–"] * 2


def test_one_site(results):
    page = Page(render(simulated(sizes={"a": 400})))
    assert [row[0][0] for row in page.tables["AUROC"][1:]] == ["All patients", "a"]
    assert [row[0][0] for row in page.tables["Sites"][1:]] == ["a (SYNTHETIC)"]
    assert "the one site" in page.text


def test_several_seeds_are_averaged():
    found = simulated(seeds=(1, 2, 3), sizes={"a": 300, "b": 260})
    page = Page(render(found))
    federated = next(c for c in found.candidates if c.name == "fedxgb_bagging")
    scores = [s.auroc for s in federated.scores if s.site == "a"]
    assert len(scores) == 3
    text, note = page.tables["AUROC"][2][1]
    means = [sum(getattr(s, end) for s in scores) / 3 for end in ("value", "low", "high")]
    assert [float(text), *map(float, note.split("–"))] == [round(mean, 3) for mean in means]
    assert "means over 3 seeds (1, 2, 3)" in page.text
    line = lines(found, read("demo"))[0]
    assert line.histogram is not None
    assert line.histogram.positives.sum() == 3 * (43 + 38)


def test_a_figure_withheld_in_one_seed_is_withheld():
    found = simulated(seeds=(1, 2), sizes={"a": 300, "b": 260})
    first = found.candidates[0]
    scores = tuple(s.model_copy(update={"auroc": None}) if (s.site, s.seed) == ("a", 2) else s for s in first.scores)
    candidates = (first.model_copy(update={"scores": scores}), *found.candidates[1:])
    page = Page(render(found.model_copy(update={"candidates": candidates})))
    assert page.tables["AUROC"][2][1] == ("withheld", "")


def test_figures_without_counts_and_without_baselines_make_a_page(results):
    candidates = tuple(
        c.model_copy(
            update={"scores": tuple(s.model_copy(update={"negatives": (), "positives": ()}) for s in c.scores)}
        )
        for c in results.candidates
        if c.kind == "federated"
    )
    page = Page(render(results.model_copy(update={"candidates": candidates, "stages": ()})))
    assert "cannot say whether federation helped" in page.text
    assert "no counts to draw curves from" in page.text
    assert "Every invited site" not in page.text  # a decision is listed
    assert "AUROC of every model at every site" not in page.tables


def test_everything_withheld_makes_a_page():
    page = Page(render(simulated(sizes={WITHHELD: 9})))
    assert "The overall figures are withheld." in page.text
    assert {text for row in page.tables["AUROC"][2:] for text, _ in row[1:]} == {"withheld"}


def test_page_of_many_sites_stays_small():
    many = {f"hospital-{i}": 40 for i in range(186)}
    found = simulated(sizes={"a": 400, "b": 300})
    spread = next(s for s in found.candidates[0].scores if s.site == "a")
    candidates = tuple(
        c.model_copy(update={"scores": tuple(spread.model_copy(update={"site": site}) for site in (*many, OVERALL))})
        for c in found.candidates if c.kind != "local"
    )  # fmt: skip
    sites = tuple(summary_of(site, np.ones(40)) for site in many)
    html = render(found.model_copy(update={"candidates": candidates, "sites": sites}))
    assert len(html) < 1_500_000
    assert len(Page(html).tables["AUROC"]) == 2 + 186


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0532, "53.2 ms"), (4.2, "4.2 s"), (59.96, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (999.9, "1 kB"), (1_234, "1.23 kB"), (5_600_000, "5.6 MB"), (2**41, "2.2 TB")],
)
def test_sizes_are_readable(count, text):
    assert size(count) == text


def test_report_ships_in_files_an_app_bundle_carries():
    folder = Path(render.__code__.co_filename).parent
    assert {path.suffix for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts} == {".py"}
