"""One exchange of a small network: a request, its answer and what the log says of it."""

from __future__ import annotations

from common.messages import StatisticsReply, StatisticsRequest
from common.plan_tables import Sites

REQUEST = StatisticsRequest()
NOTHING = {"cells": [], "moments": [], "means": [], "deviations": []}
TOLD = {"patients": 40, "stays": 50, "known": [50], "positives": [20]}
REPLY = StatisticsReply(minimum_cell=11, rules=[], excluded=[], **TOLD, **NOTHING)
NAMES = ("alder", "birch", "cedar")


def rule(on_missing="continue", quorum=1, deadline=10.0):
    return Sites(partition="hospital", quorum=quorum, deadline_seconds=deadline, on_missing=on_missing)


def ask(group, reply=StatisticsReply, request=REQUEST, **options):
    return group.ask(dict.fromkeys(group.names, request), reply, what="round 3", **options)


def kinds(log, kind):
    return [entry.event.details for entry in log.entries() if entry.event.kind is kind]
