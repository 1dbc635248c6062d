"""A reply that is wrong is refused with its site and round, and nothing is built on it."""

from __future__ import annotations

import re

import pytest

from common.audit.event import Kind
from common.audit.verify import verify_file
from common.exceptions import FedwardError, QuorumError
from common.serialization import parse
from server import results
from tests.server.replies import FAIL, ROUND_ONE, edited, events, leaf, set_to, with_rounds


@pytest.mark.parametrize(
    ("kind", "change", "problem"),
    [
        ("boost-reply", set_to(training_loss=float("nan")), "out of bounds: training_loss"),
        ("boost-reply", set_to(held_out_loss=float("inf")), "out of bounds: held_out_loss"),
        ("boost-reply", set_to(trees=[]), "0 trees, where 1 to 2 are expected"),
        ("boost-reply", lambda c: c["body"].update(trees=c["body"]["trees"] * 2), "4 trees, where 1 to 2"),
        ("boost-reply", edited(left_children=(0, 0)), "tree 0: node 0: its children are not the next two"),
        ("boost-reply", edited(split_indices=(0, 999)), "tree 0: node 0: splits on a feature outside"),
        ("boost-reply", edited(sum_hessian=(0, 41.5)), "tree 0: 'sum_hessian' does not follow"),
        ("boost-reply", lambda c: leaf(c, b"Infinity"), "tree 0: not strict JSON"),
        ("boost-reply", lambda c: leaf(c, b"1e999"), "tree 0: node .*finite"),
        ("boost-reply", lambda c: leaf(c, b"1000000.0"), "tree 0: node .*leaf beyond"),
        ("boost-reply", set_to(trees=[b"\xff"]), "tree 0: not strict JSON"),
        ("boost-reply", set_to(patients=["17"]), "out of bounds: an unknown field;"),
        ("local-reply", edited(split_indices=(0, 999)), "tree 0: node 0: splits on a feature outside"),
        ("local-reply", lambda c: c["body"].update(kind="boost-reply"), "another kind"),
        ("evaluate-reply", lambda c: c["body"]["auroc"].pop(), "evaluate-reply: fields .*lengths"),
        ("statistics-reply", set_to(positives=[10**6]), "more positives than stays"),
        ("statistics-reply", set_to(stays=-3), "out of bounds: stays"),
        ("admission-reply", set_to(feature_names="all"), "admission-reply: fields .*: feature_names"),
        ("boost-reply", lambda c: c["header"].update(sender="hospital-3"), "another site's name"),
        ("boost-reply", lambda c: c["header"].update(run="other"), "another run"),
        ("boost-reply", lambda c: c["header"].update(head_sequence=1), "audit log was rolled back"),
        ("boost-reply", lambda c: 1 / 0, "its process failed"),
    ],
)
def test_a_bad_reply_is_refused_with_site_and_round(trial, kind, change, problem):
    one = trial(FAIL)
    one.network.change("hospital-2", kind, change)
    with pytest.raises(QuorumError) as failure:
        one.run()
    exchange = {
        "boost-reply": ROUND_ONE,
        "local-reply": "local, seed 7, fold 0",
        "evaluate-reply": "evaluate, seed 7",
        "statistics-reply": "statistics",
        "admission-reply": "admission",
    }[kind]
    assert str(failure.value).startswith(f"{exchange}: missing hospital-2: ")
    assert re.search(problem, str(failure.value))
    assert "hospital-1" not in str(failure.value)
    assert_failed_cleanly(one, failure.value)


def assert_failed_cleanly(one, error: FedwardError) -> None:
    """The failure is on file and in the log, nothing is released, no result is there."""
    assert parse((one.folder / "failure.json").read_bytes()) == {"code": error.code, "message": str(error)}
    assert events(one, Kind.REFUSAL)[-1]["reason"] == error.public
    assert not list(one.folder.glob("*-seed*.json"))
    assert not (one.folder / "metrics.json").exists()
    assert verify_file(one.settings.audit).ok


def test_a_poisoned_site_is_left_out_of_the_model(trial):
    one = trial()
    one.network.change("hospital-2", "boost-reply", edited(split_indices=(0, 999)))
    found = one.run()
    assert {m.name: m.trees for m in found.models}["fedxgb_bagging"] == 2 * 2 * 2
    assert {m.name: m.trees for m in found.models}["fedxgb_cyclic"] == 2
    assert all("hospital-2: invalid reply: tree 0" in decision for decision in found.decisions)
    assert len(found.decisions) == 3


def test_a_site_that_only_says_it_is_behind_ends_in_an_error(trial):
    one = trial(FAIL)

    def behind(content):
        for key in list(content["body"]):
            content["body"].pop(key)
        content["body"].update(kind="behind", lacking=["0" * 64])

    one.network.change("hospital-2", "boost-reply", behind)
    with pytest.raises(QuorumError, match=f"{ROUND_ONE}: missing hospital-2: invalid reply"):
        one.run()


def test_a_refusing_site_is_named_with_its_reason(trial):
    one = trial(FAIL)
    one.files["hospital-2"].write_text(
        one.files["hospital-2"].read_text().replace("minimum_cohort = 1", "minimum_cohort = 5000")
    )
    with pytest.raises(QuorumError, match=r"admission: missing hospital-2: refused: .* fewer than 5000 patients"):
        one.run()


def test_a_long_list_of_reasons_still_reaches_the_failure_file(trial):
    one = trial(FAIL)

    def refuse(content):
        content["body"].clear()
        content["body"].update(kind="refusal", code="PolicyRefusal", reason="x" * 1000)

    for name in one.plan.sites.names:
        one.network.change(name, "statistics-reply", refuse)
    with pytest.raises(QuorumError) as failure:
        one.run()
    assert parse((one.folder / "failure.json").read_bytes())["message"] == str(failure.value)
    told = events(one, Kind.REFUSAL)[-1]["reason"]
    assert failure.value.public.startswith(told)
    assert len(told) == 2000 < 3000 < len(failure.value.public)


def test_an_unexpected_error_is_on_file_too(trial):
    one = trial()
    one.network.at = {4: lambda: {}["no such round"]}
    with pytest.raises(KeyError):
        one.run()
    assert parse((one.folder / "failure.json").read_bytes()) == {"code": "InternalError", "message": "'no such round'"}
    assert not (one.folder / "metrics.json").exists()
    assert verify_file(one.settings.audit).ok
    one.again()
    assert one.run().models
    assert not (one.folder / "failure.json").exists()


@pytest.mark.parametrize(
    ("told", "mean"),
    [((0.25, 0.75, 0.5), 0.5), ((0.25, None, 0.75), 0.5), ((None, 0.75, None), 0.75), ((None, None, None), None)],
)
def test_the_loss_of_a_round_is_the_mean_of_those_told_by_hand(trial, told, mean):
    one = trial({"stages": with_rounds(1)})

    def tell(loss):
        def change(content):
            for field in ("training_loss", "held_out_loss"):
                content["body"].pop(field, None)
            if loss is not None:
                content["body"].update(training_loss=loss, held_out_loss=loss / 2)

        return change

    for name, loss in zip(one.plan.sites.names, told, strict=True):
        one.network.change(name, "boost-reply", tell(loss))
    (found,) = one.run().stages[0].rounds
    assert len(found.sites) == 3  # withholding a loss is no absence
    assert (found.training_loss, found.held_out_loss) == (mean, mean and mean / 2)
    assert results.read(one.folder / "metrics.json").stages[0].rounds[0] == found
