"""Tables of labels and features at a real site: true, guarded, and with noise drawn once."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import stats

from client import egress
from client.handlers import statistics as handler
from client.handlers.statistics import count, count_noised, noised_cells
from client.preprocessing import tabulating
from client.settings import Policy
from common import records
from common.clinical.tables import cut
from common.clinical.variables import Layout, layout, variables
from common.disclosure import runs
from common.exceptions import EgressRefusal
from common.messages import NoisedStatisticsReply, NoisedStatisticsRequest, StatisticsReply, StatisticsRequest
from common.payload import Header, Refusal
from common.plan import Plan
from common.privacy.mechanisms import shares

OPEN = 'tasks = ["in_hospital_mortality"]\ndescribe = "features"\nminimum_cell = 5\n'
NOISE = {"features": ["age", "vent", "gender"], "epsilon": 1.5}


@pytest.fixture
def plan_for(plan_with: Any, plan: Plan) -> Any:
    """Return the plan with other settings of its statistics stage."""
    stages = json.loads(plan.to_json())["stages"]
    return lambda **settings: plan_with(stages=[{"kind": "statistics", **settings}, *stages[1:]])


@pytest.fixture
def ward_for(open_ward: Any, plan_for: Any) -> Any:
    """Open the second hospital under a plan and a policy."""
    return lambda policy=OPEN, **settings: open_ward("ward-2", values=["2"], policy=policy, follow=plan_for(**settings))


def laid_out(ward: Any) -> Layout:
    return layout(ward.plan, ward.site.table(ward.plan).feature_names)


# Exact


def test_tables_are_those_of_the_cohort(ward_for: Any) -> None:
    ward = ward_for(features="all")
    reply = ward.ask(StatisticsRequest(), count)
    assert isinstance(reply, StatisticsReply), reply
    table, asked = ward.site.table(ward.plan), laid_out(ward)
    told = cut(reply.cells, asked)
    assert len(told.labels) == 1
    assert len(told.features) == len(asked.features) > 30
    compared = 0
    for variable, cells in zip(asked.features, told.features, strict=True):
        whole = tabulating.count(table.features, variable)
        for run in runs(cells):
            assert sum(whole[run.first : run.last + 1]) == run.total
            compared += run.first == run.last
    assert compared > 100
    age = asked.features[[variable.name for variable in asked.features].index("age")]
    known = table.features[:, age.columns[0]].astype(float)
    for position, mean, deviation in zip(reply.moments, reply.means, reply.deviations, strict=True):
        values = table.features[:, asked.features[position].columns[0]].astype(float)
        np.testing.assert_allclose((mean, deviation), (np.nanmean(values), np.nanstd(values)), rtol=5.1e-3)
    assert asked.features[reply.moments[0]].continuous
    assert len(known) == reply.stays


def test_a_cell_with_many_rows_of_few_people_is_small() -> None:
    """Hourly predictions give one person dozens of rows; a person is what the rule protects."""
    (vent,) = variables(("vent",), "all", {})
    values = np.repeat(np.array([[0], [1]], np.float32), 60, axis=0)
    everybody, four = np.arange(120), np.concatenate([np.arange(60), np.repeat(np.arange(4), 15)])
    assert tabulating.tell(values, vent, everybody, 11) == [0, 60, 60]
    assert tabulating.tell(values, vent, four, 11) == [0, 120, -2]
    twelve = np.concatenate([np.arange(12).repeat(5), np.repeat(np.arange(4), 15)])  # 12 people in all
    assert tabulating.tell(values, vent, twelve, 11) == [0, -1, 120]


def test_a_site_of_few_people_tells_no_table(ward_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ward = ward_for(features="all")
    table = ward.site.table(ward.plan)
    few = replace(table, patients=np.array([f"P-{k % 4}" for k in range(len(table.labels))]))
    monkeypatch.setattr(type(ward.site), "table", lambda *_: few)
    reply = ward.ask(StatisticsRequest(), count)
    assert (reply.cells, reply.moments, reply.patients) == ([], [], None)


def told_of_age(ward: Any, limits: tuple[float, float], plan_for: Any, run: str, reopened: Any) -> Any:
    plan = plan_for(features=["age"], ranges={"age": list(limits)})
    return replace(reopened(ward), plan=plan, run=run).ask(StatisticsRequest(), count)


def test_two_ranges_of_a_variable_are_not_told_one_after_the_other(ward_for: Any, plan_for: Any, reopened: Any) -> None:
    """Cells of 5 and of 5.05 years: fewer below 50 than below 50.5 would be how many are just fifty."""
    ward = ward_for(features=["age"])
    first = told_of_age(ward, (0.0, 100.0), plan_for, "run-2", reopened)
    assert told_of_age(ward, (0.0, 100.0), plan_for, "run-3", reopened).cells == first.cells
    refusal = told_of_age(ward, (0.0, 101.0), plan_for, "run-4", reopened)
    assert (refusal.code, "told age over (0, 100) before" in refusal.reason) == ("PolicyRefusal", True)
    refusal = told_of_age(ward, (0.0, 101.0), plan_for, "run-5", reopened)  # nor does asking again help
    assert refusal.code == "PolicyRefusal"


def test_a_plan_that_asks_for_counts_gets_no_table(ward_for: Any) -> None:
    reply = ward_for().ask(StatisticsRequest(), count)
    assert (reply.cells, reply.moments) == ([], [])


def test_a_site_that_describes_no_features_tells_labels(ward_for: Any) -> None:
    ward = ward_for(policy='tasks = ["in_hospital_mortality"]\n', features=["age"])
    reply = ward.ask(StatisticsRequest(), count)
    assert sum(reply.cells) == reply.stays
    assert len(reply.cells) == 3
    assert reply.moments == []


def test_an_unknown_variable_is_refused_with_those_there_are(ward_for: Any) -> None:
    refusal = ward_for(features=["ages"]).ask(StatisticsRequest(), count)
    assert isinstance(refusal, Refusal)
    assert "no variable ages in the data; it has intubated" in refusal.reason


# The guard

COLUMNS = ("age", "vent")


def reply_with(**changes: Any) -> StatisticsReply:
    """Thirty stays: labels, age, vent; 12 of them below the range of ages and 18 above."""
    age = [0, 12, *[0] * 20, 18]
    fields: dict[str, Any] = {"cells": [0, 18, 12, *age, 0, -1, 30], "moments": [0], "means": [3.14]}
    fields |= {
        "deviations": [1.5],
        "minimum_cell": 11,
        "stays": 30,
        "known": [30],
        "positives": [12],
        "rules": [],
        "excluded": [],
    }
    return StatisticsReply(**{**fields, **changes})


def refusal(reply: Any, plan: Plan, policy: Policy) -> str:
    header = Header(run="run-1", sender="ward-2", head_sequence=1, head_hash="ab" * 32)
    request = StatisticsRequest() if isinstance(reply, StatisticsReply) else NoisedStatisticsRequest()
    try:
        egress.inspect(records.encode(header, reply), request, plan, policy, COLUMNS)
    except EgressRefusal as error:
        return str(error)
    return ""


def leaves(reply: Any, plan: Plan, policy: Policy) -> bool:
    return not refusal(reply, plan, policy)


OTHER, SMALL, MEAN = "not those the plan asks for", "tells a small count", "a mean or deviation may not be told"
HOSTILE: dict[str, tuple[str, dict[str, Any]]] = {
    "a small cell": (SMALL, {"cells": [0, 18, 12, 0, 22, *[0] * 20, 8, 0, -1, 30]}),
    "a small sum": (SMALL, {"cells": [0, 18, 12, -1, 8, *[0] * 20, 22, 0, -1, 30]}),
    "a small cell that follows": (SMALL, {"cells": [0, -1, 30, 0, 12, *[0] * 20, 18, 12, 18, -2]}),
    "a table that leaves some out": ("add up", {"cells": [0, 18, 12, 0, 12, *[0] * 20, 18, 0, -1, 27]}),
    "a table too many": (OTHER, {"cells": [0, 18, 12, 0, 12, *[0] * 20, 18, 0, -1, 30, 0, 30, 0]}),
    "a mean without its table": (MEAN, {"cells": [0, 18, 12]}),
    "cells that are told with none": (OTHER, {"cells": [0, 18, 12, 0, 12, *[0] * 20, 18, 0, 30, -1]}),
    "the mean of a variable with two values": (MEAN, {"moments": [1]}),
    "the mean of a variable that is not there": (MEAN, {"moments": [2]}),
    "a mean too exact": (MEAN, {"means": [3.1415]}),
    "a deviation too exact": (MEAN, {"deviations": [1.5001]}),
    "one mean twice": (MEAN, {"moments": [0, 0], "means": [3.0, 3.1], "deviations": [1.0, 1.0]}),
    "the mean of one group": (MEAN, {"cells": [0, 18, 12, 0, 30, *[0] * 21, 0, -1, 30]}),
}


def test_what_may_leave_leaves(plan_for: Any) -> None:
    assert leaves(reply_with(), plan_for(features="all"), Policy(describe="features"))


@pytest.mark.parametrize(("reason", "changes"), HOSTILE.values(), ids=HOSTILE.keys())
def test_the_guard_holds_back_what_may_not_leave(plan_for: Any, reason: str, changes: dict[str, Any]) -> None:
    assert reason in refusal(reply_with(**changes), plan_for(features="all"), Policy(describe="features"))


def test_the_guard_holds_features_back_where_the_site_describes_none(plan_for: Any) -> None:
    plan = plan_for(features="all")
    alone = reply_with(cells=[0, 18, 12], moments=[], means=[], deviations=[])
    assert not leaves(reply_with(), plan, Policy())
    assert leaves(alone, plan, Policy())


def test_the_guard_wants_the_plans_noise(plan_for: Any) -> None:
    plan, policy = plan_for(features=["age"], epsilon=1.0), Policy(describe="features")
    sound = NoisedStatisticsReply(minimum_cell=11, epsilon=1.0, cells=[-3] * 26)
    assert leaves(sound, plan, policy)
    assert not leaves(sound.model_copy(update={"epsilon": 2.0}), plan, policy)
    assert not leaves(sound.model_copy(update={"cells": [5] * 25}), plan, policy)
    assert not leaves(sound, plan, Policy())
    assert leaves(sound.model_copy(update={"cells": [5] * 3}), plan, Policy())


# Noise


def spent(ward: Any) -> list[float]:
    """Pure epsilon of each release with noise, as the ledger has it."""
    reserved = [entry.release for entry in ward.site.releases.ledger.entries() if entry.digest is None]
    return [sum(one.epsilon * one.count for one in each.mechanisms) for each in reserved if not each.unprotected]


def test_asking_again_resends_the_same_noise_and_costs_nothing(ward_for: Any, reopened: Any) -> None:
    ward = ward_for(**NOISE)
    first = ward.ask(NoisedStatisticsRequest(), count_noised)
    assert isinstance(first, NoisedStatisticsReply), first
    again = [replace(ward, run=name) for name in ("run-1", "run-2", "run-3")]
    assert all(one.ask(NoisedStatisticsRequest(), count_noised) == first for one in again)
    assert reopened(ward).ask(NoisedStatisticsRequest(), count_noised) == first
    assert spent(ward) == [pytest.approx(1.5)]


def test_the_same_question_in_another_plan_is_the_same_noise_and_another_is_not(ward_for: Any, plan_for: Any) -> None:
    ward = ward_for(**NOISE)
    first = ward.ask(NoisedStatisticsRequest(), count_noised)
    renamed = plan_for(**NOISE).model_copy(update={"title": "Another study", "seeds": (8,)})
    assert replace(ward, plan=renamed, run="run-2").ask(NoisedStatisticsRequest(), count_noised) == first
    other = replace(ward, plan=plan_for(**{**NOISE, "epsilon": 1.6}), run="run-3")
    assert other.ask(NoisedStatisticsRequest(), count_noised).cells != first.cells
    assert spent(ward) == pytest.approx([1.5, 1.6])


def test_other_rows_of_the_same_files_are_another_question(ward_for: Any, reopened: Any) -> None:
    ward = ward_for(**NOISE)
    first = ward.ask(NoisedStatisticsRequest(), count_noised)
    ward.file.write_text(ward.file.read_text().replace('values = ["2"]', 'values = ["1"]'))
    second = replace(reopened(ward), run="run-2").ask(NoisedStatisticsRequest(), count_noised)
    assert second.cells != first.cells
    assert spent(ward) == pytest.approx([1.5, 1.5])


def test_the_log_says_what_is_spent_before_any_noise_is_drawn(ward_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ward = ward_for(**NOISE)
    seen: list[list[float]] = []

    def fail(*_: Any) -> list[int]:
        seen.append(spent(ward))
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(handler, "noised_cells", fail)
        assert isinstance(ward.ask(NoisedStatisticsRequest(), count_noised), Refusal)
    assert seen == [[pytest.approx(1.5)]]
    assert isinstance(ward.ask(NoisedStatisticsRequest(), count_noised), NoisedStatisticsReply)
    assert spent(ward) == pytest.approx([1.5, 1.5])  # nobody knows whether the first noise was seen


def test_a_site_that_describes_no_features_spends_the_labels_share(ward_for: Any) -> None:
    ward = ward_for(policy='tasks = ["in_hospital_mortality"]\n', **NOISE)
    assert len(ward.ask(NoisedStatisticsRequest(), count_noised).cells) == 3
    assert spent(ward) == [pytest.approx(0.3)]


@pytest.mark.parametrize(
    ("maximum", "settings", "reason"),
    [
        ("1.0", NOISE, "at most epsilon = 1 here; the plan asks for 1.5"),
        ("1.0", {}, "at most epsilon = 1 here; the plan asks for counts without noise"),
        ("1.5", NOISE, ""),
    ],
)
def test_a_site_bounds_what_statistics_cost(ward_for: Any, maximum: str, settings: Any, reason: str) -> None:
    ward = ward_for(policy=f"{OPEN}maximum_epsilon = {maximum}\n", **settings)
    request, answer = (NoisedStatisticsRequest(), count_noised) if settings else (StatisticsRequest(), count)
    reply = ward.ask(request, answer)
    assert isinstance(reply, Refusal) == bool(reason)
    if reason:
        assert (reply.code, reason in reply.reason) == ("PolicyRefusal", True)
        assert spent(ward) == []
        assert "data_opened" not in ward.kinds


def test_exact_counts_are_not_told_under_a_plan_with_noise(ward_for: Any) -> None:
    noisy, plain = ward_for(**NOISE), StatisticsRequest()
    refusal = noisy.ask(plain, count)
    assert (refusal.code, "does not provide for this statistics request" in refusal.reason) == ("PolicyRefusal", True)


def test_noise_is_not_drawn_under_a_plan_without(ward_for: Any) -> None:
    refusal = ward_for(features="all").ask(NoisedStatisticsRequest(), count_noised)
    assert "does not provide for this noised-statistics request" in refusal.reason


def raw_cells(ward: Any, keep: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return the tables of some rows before noise is added."""
    asked = laid_out(ward)
    with monkeypatch.context() as patched:
        patched.setattr(handler, "noised", lambda counts, *_: counts)
        cells = noised_cells(ward.site.table(ward.plan).select(keep), asked, (Fraction(1), Fraction(1)), lambda n: 0)
    return [table for part in cut(cells, asked) for table in part]


def test_a_patient_more_or_less_costs_no_more_than_epsilon(ward_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbouring data sets: the log ratio of any output is at most the sum over cells of epsilon times change."""
    ward = ward_for(**NOISE)
    table, asked = ward.site.table(ward.plan), laid_out(ward)
    label, feature = shares(1.5, len(asked.labels), len(asked.features))
    everyone = raw_cells(ward, np.arange(len(table.labels)), monkeypatch)
    people, visits = np.unique(table.patients, return_counts=True)
    assert visits.max() > 1
    assert all(sum(cells) == len(people) for cells in everyone)  # each patient once, however many stays
    for person in [*people[visits > 1][:15], *people[visits == 1][:15]]:
        fewer = raw_cells(ward, table.patients != person, monkeypatch)
        changes = [np.abs(np.subtract(*pair)).sum() for pair in zip(everyone, fewer, strict=True)]
        costs = [change * epsilon for change, epsilon in zip(changes, [label, *[feature] * 3], strict=True)]
        assert sum(costs) == Fraction(1.5)
    outputs = np.arange(-300, 301)
    shift = stats.dlaplace(float(feature)).logpmf(outputs) - stats.dlaplace(float(feature)).logpmf(outputs - 1)
    assert np.abs(shift).max() <= float(feature) + 1e-9


def test_without_the_bound_a_patient_would_cost_more(ward_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positive control: counting every stay, somebody with several costs more than epsilon."""
    ward = ward_for(**NOISE)
    table, asked = ward.site.table(ward.plan), laid_out(ward)
    people, visits = np.unique(table.patients, return_counts=True)
    often = people[visits.argmax()]
    age = asked.features[0]
    whole, fewer = (tabulating.count(table.features[rows], age) for rows in (slice(None), table.patients != often))
    assert np.abs(np.subtract(whole, fewer)).sum() == visits.max() > 1


def test_noise_comes_from_the_operating_system(ward_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    monkeypatch.setattr(handler, "noised_cells", lambda *arguments: used.append(arguments[-1]) or [0] * 3)
    ward_for(policy='tasks = ["in_hospital_mortality"]\n', **NOISE).ask(NoisedStatisticsRequest(), count_noised)
    assert used == [handler.secrets.randbelow]
