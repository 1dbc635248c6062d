"""What keeps a site whose data fits a plan from taking part in it: settings, software, weights, device."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from client import policy
from client.settings import read
from common import extras
from common.exceptions import PolicyRefusal
from common.plan import Plan

Check = Callable[[], object]
"""Raises a FedwardError where the site cannot take part."""


def checks(kit: Path, plan: Plan, people: int) -> Iterator[Check]:
    """List what a site's settings must fit in, before a plan runs.

    Parameters
    ----------
    kit : Path
        The site's folder.
    plan : Plan
    people : int
        Patients of the cohort.
    """
    settings = read(kit / "site.toml")
    yield lambda: policy.permit_noiseless(settings.privacy, plan)
    yield partial(_require_deltas, plan, settings.privacy.delta, people)
    if not plan.encoders:
        return
    if importlib.util.find_spec("torch") is None:
        yield partial(extras.refuse, "torch")
        return
    from client.training.devices import devices
    from common.networks import building, pretrained

    yield partial(devices, settings.device)
    files = pretrained.from_files({name: kit / file for name, file in settings.weights.items()})
    for stage in plan.encoders:
        yield partial(building.require, stage)
        yield partial(pretrained.require, stage, files)


def _require_deltas(plan: Plan, own: float, people: int) -> None:
    stages = {f"stage {stage.name}": stage.privacy.delta for stage in plan.encoders if stage.privacy is not None}
    noised = bool(stages) or plan.statistics.epsilon is not None
    for where, delta in {**({"[privacy] of site.toml": own} if noised else {}), **stages}.items():
        if delta * people >= 1:
            raise PolicyRefusal(f"'delta' of {where} is {delta:g}, and has to be below one in {people:,} patients")
