"""Changes a test makes to a site's reply, and what it reads afterwards."""

from __future__ import annotations

from common.audit.log import AuditLog
from common.serialization import canonical, parse

FAIL = {"sites.on_missing": "fail"}

ROUND_ONE = "fedxgb_bagging, seed 7, fold 0, round 1"


def events(trial, kind):
    with AuditLog(trial.settings.audit, "coordinator") as log:
        return [entry.event.details for entry in log.entries() if entry.event.kind is kind]


def edited(**columns):
    """Change of a reply: the first tree, with other values at given positions."""

    def change(content):
        tree = parse(content["body"]["trees"][0])
        for name, (position, value) in columns.items():
            tree[name][position] = value
        content["body"]["trees"] = [canonical(tree), *content["body"]["trees"][1:]]

    return change


def set_to(**fields):
    return lambda content: content["body"].update(fields)


def leaf(content, text):
    """Write a literal where the first leaf's value stands."""
    tree = parse(content["body"]["trees"][0])
    position = tree["left_children"].index(-1)
    tree["split_conditions"][position] = 12345.0
    changed = canonical(tree).replace(b"12345.0", text)
    content["body"]["trees"] = [changed, *content["body"]["trees"][1:]]


def with_rounds(rounds):
    return [
        {"kind": "statistics"},
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": rounds},
        {"kind": "evaluate", "share": "summary", "bootstraps": 100},
    ]
