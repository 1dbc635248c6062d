"""Before a plan with networks runs, a site is told what it would cost a patient, and what keeps the site out of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from client.check import asking, costs, joining  # noqa: E402
from client.check.examining import Checked, examine  # noqa: E402
from common.audit.event import Event, Kind  # noqa: E402
from common.audit.log import AuditLog  # noqa: E402
from common.exceptions import PlanError, PrivacyError  # noqa: E402
from common.plan import Plan, from_json, read  # noqa: E402
from common.privacy.accountant import epsilon, figure  # noqa: E402
from common.privacy.entries import Release  # noqa: E402
from common.privacy.events import DiscreteLaplace, SampledGaussian  # noqa: E402
from common.privacy.ledger import Budget, Ledger  # noqa: E402
from common.serialization import canonical, digest, parse  # noqa: E402
from tests.networks import stage, stages  # noqa: E402
from tests.reading import cache_in  # noqa: E402

HOW = {"noise_multiplier": 4.0, "delta": 1e-4, "sample_rate": 0.1, "steps": 5}
WHOLE = SampledGaussian(4.0, 0.1, 5 * 2)
"""Two rounds of one seed and fold."""
BOOSTING = {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 2}


def plan_of(*training: dict[str, Any], **changes: Any) -> Plan:
    tree = parse(read("demo").to_json())
    tree |= {"seeds": [7], "split": {"folds": 5, "held_out": [0]}, "stages": stages(*training), **changes}
    return from_json(canonical(tree).decode())


PRIVATE = plan_of(stage("noisy", privacy=HOW))


@pytest.fixture
def kit(tmp_path: Path, hospital: Path) -> Callable[[str], Path]:
    """Write a site's settings; what is given goes behind them."""

    def write(more: str = "") -> Path:
        settings = f'name = "alder"\n{{}}[data]\nsource = "eicu"\nfolder = "{hospital}"\n[policy]\n{{}}'
        top, _, tables = more.partition("\n[")
        below = f"\n[{tables}" if tables else ""
        policy = 'tasks = ["in_hospital_mortality"]\nshare = "curves"\n'
        (tmp_path / "site.toml").write_text(settings.format(f"{top}\n", policy + below))
        return tmp_path

    return write


def checked(kit: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> Checked:
    monkeypatch.setattr("common.plan.read", lambda _: plan)
    return examine(asking.of_kit(kit, "plan"), cache_in(kit / "kept"))


def test_what_a_stage_with_noise_costs_is_told_and_not_that_it_is_unbounded() -> None:
    told = costs.told(PRIVATE)
    cost = figure(epsilon([WHOLE], 1e-4, step=1e-3))
    assert (
        f"Stage noisy trains with noise: all its rounds, seeds and folds cost each patient at most epsilon = {cost}"
        in told
    )
    assert "at delta = 0.0001" in told
    assert "The other stages (evaluate) add no noise: no epsilon bounds what they tell." in told


def test_epsilon_of_a_calibrated_stage_is_the_plans() -> None:
    how = {key: value for key, value in HOW.items() if key != "noise_multiplier"} | {"epsilon": 2.0}
    told = costs.told(plan_of(stage("noisy", privacy=how)))
    cost = float(told.partition("at most epsilon = ")[2].partition(" at delta")[0])
    assert 1.97 <= cost <= 2.0


@pytest.mark.parametrize(
    ("training", "named"),
    [
        ([stage("noisy", privacy=HOW), {"kind": "local"}], "(evaluate)"),
        ([stage("noisy", privacy=HOW), stage("plain"), {"kind": "local"}], "(encoder, local, evaluate)"),
        ([BOOSTING, {"kind": "local", "trees": 2}], "(boosting, local, evaluate)"),
        (
            [stage("plain"), {"kind": "features", "name": "seen", "encoder": "plain"}, BOOSTING],
            "(encoder, boosting, evaluate)",
        ),
    ],
)
def test_stages_without_noise_are_those_that_tell_something(training: list[dict[str, Any]], named: str) -> None:
    assert f"stages {named} add no noise" in costs.told(plan_of(*training))


def test_without_a_plan_nothing_is_known() -> None:
    assert "nothing is known of the privacy" in costs.told(None)


def spend(kit: Path, mechanism: Any) -> Ledger:
    (kit / "state").mkdir(exist_ok=True)
    ledger = Ledger(kit / "state/privacy.sqlite", "alder", Budget(None, 1e-6))
    ledger.reserve(Release(digest(b"before"), "run-1", "other", "statistics", (mechanism,)))
    with AuditLog(kit / "state/audit.sqlite", "alder") as log:
        log.append(Event(Kind.PLAN_RECEIVED, {"run": "run-1"}), witnesses={"privacy-ledger": ledger.head()})
    return ledger


def test_a_kit_is_told_what_is_left_for_the_plan(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, before = epsilon([WHOLE], 1e-6), DiscreteLaplace(0.3)
    together = epsilon([before, WHOLE], 1e-6)
    folder = kit(f"[privacy]\nepsilon = {alone + 0.01}")
    fresh = checked(folder, PRIVATE, monkeypatch)
    assert fresh.verdict.usable
    assert f"its noise costs at most epsilon = {figure(alone)} in all; spent before is 0" in fresh.verdict.privacy
    assert f"The budget is {alone + 0.01:g}." in fresh.verdict.privacy
    assert not any("does not last" in one for one in fresh.verdict.warnings)
    spend(folder, before)
    spent = checked(folder, PRIVATE, monkeypatch)
    assert spent.verdict.usable
    assert f"spent before is 0.3, together {figure(together)}." in spent.verdict.privacy
    assert any("does not last: this site would refuse within the run" in one for one in spent.verdict.warnings)


def test_a_plan_above_the_whole_budget_is_refused_and_one_without_noise_is_not_priced(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kit("[privacy]\nepsilon = 0.001")
    refused = checked(folder, PRIVATE, monkeypatch)
    assert any("and this site's whole budget is 0.001" in one for one in refused.verdict.errors)
    assert not checked(folder, plan_of(stage("plain")), monkeypatch).verdict.errors
    assert costs.here(folder, plan_of(stage("plain"))) == ("", "")


def test_without_a_budget_nothing_is_refused(kit: Any) -> None:
    cost, shortage = costs.here(kit(), PRIVATE)
    assert cost.endswith("No budget is set: a plan is never refused for what it costs.")
    assert not shortage


def test_a_ledger_that_was_put_back_is_told(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kit()
    ledger = spend(folder, DiscreteLaplace(0.3))
    ledger.path.unlink()
    with pytest.raises(PrivacyError, match="put back"):
        costs.here(folder, PRIVATE)
    assert any("put back" in one for one in checked(folder, PRIVATE, monkeypatch).verdict.errors)


@pytest.mark.parametrize(
    ("settings", "training", "said"),
    [
        ('[privacy]\nunprotected = "evaluation"', stage("plain"), "what carries no noise is not released"),
        ("[privacy]\ndelta = 0.5", stage("noisy", privacy=HOW), "'delta' of [privacy] of site.toml is 0.5"),
        ("", stage("noisy", privacy={**HOW, "delta": 0.009}), "'delta' of stage noisy is 0.009"),
        ('device = "cuda:77"', stage("plain"), "CUDA devices"),
        ("", stage("plain", encoders={"table": "tabla"}), "unknown encoder 'tabla'"),
        (
            "",
            stage("plain", frozen=["table"], pretrained={"table": "0" * 64}),
            "no file of weights for tabular: name it in site.toml under [weights]",
        ),
    ],
)
def test_what_keeps_a_site_out_of_a_plan_is_told_beforehand(
    kit: Any, monkeypatch: pytest.MonkeyPatch, settings: str, training: dict[str, Any], said: str
) -> None:
    control = checked(kit(), plan_of(stage("plain")), monkeypatch)
    assert not control.verdict.errors
    found = checked(kit(settings), plan_of(training), monkeypatch)
    assert [one for one in found.verdict.errors if said in one], found.verdict.errors


def test_other_weights_than_the_plan_names_are_told(kit: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pth")
    plan = plan_of(stage("plain", frozen=["table"], pretrained={"table": "0" * 64}))
    found = checked(kit('[weights]\ntabular = "weights.pth"'), plan, monkeypatch)
    assert any("needs weights of tabular with digest 000" in one for one in found.verdict.errors)


def test_networks_without_the_extra_are_refused(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kit()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = checked(folder, plan_of(stage("plain")), monkeypatch)
    assert any("which the extra 'encoders' brings" in one for one in found.verdict.errors)
    assert not list(joining.checks(folder, plan_of(BOOSTING), 150))[2:], "of trees nothing of networks is asked"


def test_an_epsilon_that_no_noise_reaches_is_told(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def hopeless(*_: object) -> float:
        raise PlanError("no noise is enough")

    monkeypatch.setattr("common.privacy.planned._calibrated", hopeless)
    how = {key: value for key, value in HOW.items() if key != "noise_multiplier"} | {"epsilon": 0.01}
    found = checked(kit(), plan_of(stage("noisy", privacy=how)), monkeypatch)
    assert "no noise is enough" in found.verdict.errors


def test_looks_at_validation_patients_are_part_of_what_a_plan_costs() -> None:
    told = costs.told(plan_of(stage("noisy", privacy={**HOW, "validation_noise": 8.0}, validation=0.2)))
    cost = figure(epsilon([WHOLE, SampledGaussian(8.0, 1.0, 2)], 1e-4, step=1e-3))
    assert f"at most epsilon = {cost} at" in told
