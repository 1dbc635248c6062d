"""A run that describes the sites' data: what the results and the report say is what the sites hold, or nearly."""

from __future__ import annotations

import re

import numpy as np
import pytest

from client.open_sites import open_site
from client.preprocessing import tabulating
from common.clinical.variables import variables
from common.exceptions import QuorumError
from server.report.page import render

QUICK = [
    {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1},
    {"kind": "evaluate", "share": "summary", "bootstraps": 100},
]
SITES = ("hospital-1", "hospital-2", "hospital-3")
CHOSEN = ["age", "heartrate", "vent", "gender", "albumin"]


def described(trial, **settings):
    return trial({"stages": [{"kind": "statistics", **settings}, *QUICK]})


def held(one):
    """Every site's table."""
    return {name: open_site(file).table(one.plan) for name, file in one.files.items()}


def tables_of(html):
    """Rows of each table by its label, as texts; a note follows its text after a space."""
    found = {}
    for label, body in re.findall(r'<table class="[^"]*" aria-label="([^"]*)">(.*?)</table>', html, re.S):
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.S)
        cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]
        found[label] = [[re.sub(r"<[^>]+>", " ", cell).strip() for cell in row] for row in cells]
    return found


def test_what_is_told_is_what_the_sites_hold(trial):
    one = described(trial, features="all")
    found, tables = one.run(), held(one)
    names = next(iter(tables.values())).feature_names
    told = {variable.name: variable for variable in found.description.features}
    assert [variable.name for variable in variables(names, "all", {})] == list(told)
    for variable in variables(names, "all", {}):
        whole = np.sum([tabulating.count(table.features, variable) for table in tables.values()], axis=0)
        pooled = told[variable.name]
        assert np.sum(pooled.cells) == pytest.approx(whole.sum())
        alone = np.array([[min(site.cells[k : k + 2]) >= 0 for k in range(len(whole))] for site in pooled.sites])
        exact = alone.all(axis=0) & np.roll(alone, 1, axis=1).all(axis=0)
        assert np.array(pooled.cells)[exact].tolist() == whole[exact].tolist()
    (death,) = found.description.labels
    assert death.mean == pytest.approx(np.concatenate([table.labels for table in tables.values()]).mean(), abs=0.02)
    age = told["age"]
    values = np.concatenate([table.features[:, names.index("age")] for table in tables.values()]).astype(float)
    np.testing.assert_allclose((age.mean, age.deviation), (np.nanmean(values), np.nanstd(values)), rtol=0.01)
    assert age.unit == "years"


def test_describing_features_changes_no_model(trial):
    plain, rich = (described(trial, **settings) for settings in ({}, {"features": "all"}))
    first = plain.run()
    rich.name = "rich"
    rich.again()
    second = rich.run()
    assert first.description is None
    assert [model.digest for model in first.models] == [model.digest for model in second.models]
    assert first.base_scores == second.base_scores


def test_the_report_shows_what_was_told_and_nothing_more(trial):
    one = described(trial, features=CHOSEN)
    found = one.run()
    html = render(found)
    page = tables_of(html)
    assert page["Prevalence"][0] == ["Label", "All sites", *SITES]
    shares = [f"{site.answers['death'].positives / site.stays:.1%}" for site in found.sites]
    assert page["Prevalence"][1] == ["death", f"{found.base_scores['death']:.1%}", *shares]
    assert [row[0] for row in page["Means and quantiles"][1:]] == ["heartrate, 1/min", "albumin, g/dL", "age, years"]
    at = {v.name: {t.site: t for t in v.sites} for v in found.description.features}
    ages = next(row for row in page["Means at each site"] if row[0] == "age, years")
    for text, site in zip(ages[1:], SITES, strict=True):
        mean, deviation = at["age"][site].mean, at["age"][site].deviation
        assert text.split() == ([f"{mean:g}", "±", f"{deviation:g}"] if mean is not None else ["withheld"])
    rows = {row[0]: row[1:] for row in page["Categories"][1:]}
    assert list(rows) == ["vent", "gender: Female", "gender: Male", "gender: Other"]
    for text, site in zip(rows["vent"][1:], SITES, strict=True):
        cells = at["vent"][site].cells
        assert text == f"{cells[2] / sum(cells[1:]):.1%}"
    assert html.count("<svg") >= 3
    for title in ("Histograms of the features that differ", "Share of missing values", "Distance of each site"):
        assert html.count(f'aria-label="{title}') == 1
    assert "://" not in html
    assert render(found) == html


def test_small_cells_are_shown_as_small_and_never_as_a_number(trial):
    one = described(trial, features=["gender", "hepaticfailure", "leukemia", "age"])
    for name in SITES[1:]:  # the first tells its outcomes, so that there is a base score
        file = one.files[name]
        file.write_text(file.read_text().replace("minimum_cell = 3", "minimum_cell = 40"))
    found = one.run()
    at = {v.name: {t.site: t.cells for t in v.sites} for v in found.description.features}
    rows = {row[0]: row[2:] for row in tables_of(render(found))["Categories"][1:]}
    hidden = 0
    for name, cell in (("hepaticfailure", 2), ("leukemia", 2)):
        for text, site in zip(rows[name], SITES, strict=True):
            cells = at[name][site]
            if cells[cell] < 0 or cells[cell - 1] < 0:
                assert text == "few"
                hidden += 1
            else:
                assert text == f"{cells[cell] / sum(cells[1:]):.1%}"
    assert hidden >= 4


def test_noise_tells_nothing_exact(trial):
    one = described(trial, features=CHOSEN, epsilon=4.0)
    found, tables = one.run(), held(one)
    assert all((site.stays, site.excluded) == (None, {}) for site in found.sites)
    people = [len(np.unique(table.patients)) for table in tables.values()]
    assert np.abs(np.array([site.patients for site in found.sites]) - people).max() < 60  # 24 standard deviations
    labels = np.concatenate([table.labels for table in tables.values()])
    assert found.base_scores["death"] == pytest.approx(labels.mean(), abs=0.08)
    html = render(found)
    assert "epsilon = 4 of pure differential" in html.replace("\n", " ")
    rows = tables_of(html)["Sites"]
    assert [row[2] for row in rows[1:]] == ["–"] * 4
    assert all(row[1].startswith("≈ ") for row in rows[1:])
    assert "withheld" not in str(rows)
    assert "Means at each site" not in html


def test_a_resumed_run_recalls_the_noise(trial):
    one = described(trial, features=["age"], epsilon=1.0)
    first = one.run()
    one.again()
    assert one.run().description == first.description


@pytest.mark.parametrize(
    ("settings", "kind", "change", "problem"),
    [
        ({"features": ["age"]}, "statistics-reply", lambda body: body["cells"].append(0), "not those the plan asks"),
        ({"features": ["age"]}, "statistics-reply", lambda body: body.update(stays=250), "add up to the stays"),
        ({"features": ["age"]}, "statistics-reply", lambda body: body.update(minimum_cell=500), "a small count"),
        ({"epsilon": 1.0}, "noised-statistics-reply", lambda body: body.update(epsilon=0.5), "not the plan's"),
        ({"epsilon": 1.0}, "noised-statistics-reply", lambda body: body["cells"].append(0), "not those the plan asks"),
    ],
)
def test_tables_that_are_not_the_plans_are_refused_with_the_site(trial, settings, kind, change, problem):
    stages = [{"kind": "statistics", **settings}, *QUICK]
    one = trial({"stages": stages, "sites.on_missing": "fail"})

    def changed(content):
        body = content["body"]
        body["cells"] = list(body["cells"])
        change(body)

    one.network.change("hospital-2", kind, changed)
    with pytest.raises(QuorumError, match=f"statistics: missing hospital-2: invalid reply: {kind}: .*{problem}"):
        one.run()


def test_without_any_positive_count_there_is_still_no_base_score(trial):
    one = described(trial, epsilon=1.0)
    for name in SITES:
        one.network.change(name, "noised-statistics-reply", lambda content: content["body"].update(cells=[5, -9, -2]))
    with pytest.raises(QuorumError, match="no agreed base score"):
        one.run()
