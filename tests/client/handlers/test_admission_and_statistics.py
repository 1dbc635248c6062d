"""What a site tells before anything is trained, against an adversary who subtracts."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.handlers.admission import admit
from client.handlers.statistics import count
from client.preprocessing.table import Table
from client.settings import Policy
from client.software import versions
from common.clinical.examples import Lost
from common.messages import AdmissionReply, AdmissionRequest, StatisticsReply, StatisticsRequest
from common.plan import Plan
from tests.client.handlers.asking import positives_of, relabel


def test_admission_tells_names_and_schema_and_no_count(ward: Any) -> None:
    reply = ward.ask(AdmissionRequest(plan_digest=ward.plan.digest), admit)
    table = ward.site.table(ward.plan)
    assert reply == AdmissionReply(
        site="ward-2",
        synthetic=True,
        schema_digest=table.schema_digest,
        feature_names=list(table.feature_names),
        modalities=["table"] * len(table.feature_names),
        versions=versions(),
    )
    assert {version.split("==")[0] for version in reply.versions} >= {"flwr", "numpy"}


def table_of(stays: int, positives: int, patients: int, **excluded: int) -> Table:
    return Table(
        patients=np.array([f"P-{number % patients}" for number in range(stays)]),
        features=np.zeros((stays, 1), dtype=np.float32),
        labels=(np.arange(stays) < positives).astype(np.int8),
        feature_names=("age",),
        units=("year",),
        modalities=("table",),
        references={},
        excluded={rule: Lost(lost, lost, lost, stays) for rule, lost in excluded.items()},
        answers=(np.arange(stays)[:, None] < positives).astype(np.int8),
        digest="00" * 32,
        synthetic=True,
    )


def counted(table: Table, plan: Plan, minimum: int = 11) -> StatisticsReply:
    policy = Policy(minimum_cell=minimum)
    site: Any = SimpleNamespace(table=lambda _: table, settings=SimpleNamespace(policy=policy))
    site.about = lambda *_: table
    return count(site, plan, StatisticsRequest())


def test_counts_by_hand(plan: Plan) -> None:
    def told(*counts: int) -> tuple[int | None, int | None, int | None]:
        reply = counted(table_of(*counts), plan)
        return reply.stays, positives_of(reply), reply.patients

    assert told(100, 40, 80) == (100, 40, 80)
    assert told(100, 3, 80) == (100, None, 80)
    assert told(100, 97, 80) == (100, None, 80)
    assert told(100, 0, 100) == (100, 0, 100)
    assert told(100, 40, 90) == (100, 40, None)  # ten came back
    assert told(100, 40, 45) == (100, 40, None)  # five did not have the outcome
    assert told(10, 0, 10) == (None, None, None)
    assert told(20, 0, 12) == (None, None, None)
    assert told(60, 30, 21) == (60, 30, None)
    assert told(60, 30, 12) == (60, 30, None)
    assert told(60, 30, 10) == (None, None, None)


def test_exclusions_by_hand(plan: Plan) -> None:
    reply = counted(table_of(100, 40, 80, none=0, few=3, ten=10, eleven=11), plan)
    assert (reply.rules, reply.excluded) == (["none", "few", "ten", "eleven"], [0, -1, -1, 11])


def test_many_stays_of_few_people_are_a_small_count(plan: Plan) -> None:
    table = replace(table_of(100, 40, 80), excluded={"few": Lost(50, 10, 0, 100), "many": Lost(50, 11, 0, 100)})
    assert counted(table, plan).excluded == [-1, 50]


def test_three_positives_are_withheld_at_a_real_site(open_ward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    relabel(monkeypatch, lambda table: np.arange(len(table.labels)) < 3)
    ward = open_ward("ward-2", values=["2"])
    reply = ward.ask(StatisticsRequest(), count)
    assert isinstance(reply, StatisticsReply)
    assert (reply.stays, positives_of(reply)) == (len(ward.site.table(ward.plan).labels), None)


def test_thirty_deaths_of_ten_people_are_withheld(plan: Plan) -> None:
    table = table_of(120, 30, 80)
    ten = replace(table, patients=np.array([f"P-{k % 10 if k < 30 else k}" for k in range(120)]))
    assert positives_of(counted(table, plan)) == 30
    assert positives_of(counted(ten, plan)) is None


def stays_of(ill: int, well: int, both: int, more_ill: int, more_well: int) -> Table:
    """One row for each who is ever ill, ever well or both, and more rows of the last or first of them."""
    died = [*range(ill), *range(ill + well, ill + well + both)]
    lived = [*range(ill, ill + well + both)]
    rows = [*died, *died[-1:] * more_ill, *lived, *lived[:1] * more_well]
    deaths = len(died) + len(died[-1:]) * more_ill
    return replace(table_of(len(rows), deaths, len(rows)), patients=np.array([f"P-{person}" for person in rows]))


def test_no_small_count_can_be_worked_out(plan: Plan) -> None:
    """An adversary keeps every hospital that would have replied so; what they agree on is betrayed."""
    minimum, alike = 3, defaultdict(list)
    for world in itertools.product(range(8), range(8), range(5), range(6), range(6)):
        ill, well, both = world[:3]
        if ill + well + 2 * both <= 12 and 0 < len((table := stays_of(*world)).labels) <= 12:
            stays, positives, patients = len(table.labels), int(table.labels.sum()), ill + well + both
            reply = counted(table, plan, minimum)
            rows = (stays, positives, stays - positives, stays - patients)
            counts = (*rows, patients, ill, well, ill + both, well + both)
            alike[reply.stays, positives_of(reply), reply.patients].append(counts)
    betrayed = [
        found[0]
        for found in alike.values()
        if any(len(set(values)) == 1 and 0 < values[0] < minimum for values in zip(*found, strict=True))
    ]
    assert betrayed == []
    assert len(alike) > 50  # control: most replies do tell something


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_is_shown_is_true_and_never_small_nor_are_its_differences(plan: Plan, data: st.DataObject) -> None:
    stays = data.draw(st.integers(1, 120))
    positives, patients = data.draw(st.integers(0, stays)), data.draw(st.integers(1, stays))
    excluded = data.draw(st.integers(0, 30))
    reply = counted(table_of(stays, positives, patients, rule=excluded), plan)
    shown = {"stays": reply.stays, "positives": positives_of(reply), "patients": reply.patients}
    truth = {"stays": stays, "positives": positives, "patients": patients}
    told = {name: value for name, value in shown.items() if value is not None}
    assert told == {name: truth[name] for name in told}
    assert reply.excluded in ([excluded], [-1])
    for one, other in itertools.product([0, *told.values()], repeat=2):
        assert not 0 < one - other < 11
    assert not 0 < reply.excluded[0] < 11
