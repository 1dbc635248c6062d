"""Is the data usable? What forbids it, and what to look at first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from client.check.associations import LEAST
from client.check.films import Films
from client.check.findings import Description
from client.policy import shared
from client.settings import Policy
from common.clinical.plausible import Implausible
from common.plan import Plan

NAMED = 5
"""So many features are named; of more the number is told."""
MUCH = 0.01
"""A share of implausible values worth a look."""
ONE_SIDE = 0.9


@dataclass(frozen=True)
class Verdict:
    """What the check comes to.

    Attributes
    ----------
    errors : tuple of str
        Why the data cannot be used; none when it can.
    warnings : tuple of str
        What a person should look at all the same.
    privacy : str
        What is known of the privacy a plan costs.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    privacy: str

    @property
    def usable(self) -> bool:
        """Whether nothing forbids to use the data."""
        return not self.errors


def errors(found: Description, films: Films | None, policy: Policy, label: str | None) -> list[str]:
    """List what forbids to use the data."""
    asked = [each for each in found.labels if label in (None, each.name)]
    failures = []
    if not any(each.yes and each.no for each in asked):
        names = f"'{label or asked[0].name}'" if len(asked) == 1 else "any label"
        failures.append(f"there is only one answer to {names}: nothing can be learnt")
    if found.people < policy.minimum_cohort:
        left = "1 patient is" if found.people == 1 else f"{found.people} patients are"
        failures.append(f"{left} left, the policy's minimum is {policy.minimum_cohort}")
    if films and films.decoded and films.decoded == sum(map(len, films.broken.values())):
        failures.append(f"none of the {films.decoded} films looked at can be decoded")
    return failures


def warnings(
    found: Description, films: Films | None, implausible: Sequence[Implausible], label: str | None
) -> Iterator[str]:
    """List what a person should look at."""
    for each in found.suspects[:NAMED]:
        yield f"'{each.feature}' alone tells '{each.label}' ({each.strength:.2f} of 1): is it known only afterwards?"
    if len(found.suspects) > NAMED:
        yield f"{len(found.suspects) - NAMED} more features tell an answer too well"
    asked = [one for one in found.labels if label in (None, one.name)]
    rare = [one.name for one in asked if min(one.people, one.people_without) < LEAST]
    yield from _listed(
        rare, f"fewer than {LEAST} patients with a yes or a no, too few to judge a model or to suspect a leak"
    )
    for value in implausible:
        if value.count > MUCH * value.values:
            most = max(value.below, value.above) > ONE_SIDE * value.count
            unit = ", nearly all on one side: another unit?" if most else ""
            yield f"{value.file}, {value.field}: {value.count / value.values:.0%} of the values are implausible{unit}"
    if films:
        for what, rows in (("refused", films.refused), ("that cannot be decoded", films.broken)):
            if count := sum(map(len, rows.values())):
                yield f"{count} films {what}: {'; '.join(rows)}"
    yield from _listed(found.empty, "missing in every row")
    yield from _listed(found.constant, "the same in every row")
    for name, having in found.modalities.items():
        if not having:
            yield f"no row has anything of '{name}' by its prediction time"


def _listed(names: Sequence[str], what: str) -> Iterator[str]:
    if names:
        rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield f"{what}: {', '.join(names[:NAMED])}{rest}"


def sharing(plan: Plan, policy: Policy) -> Iterator[str]:
    """Tell which figures there will not be."""
    if plan.evaluation.share == "summary":
        yield 'the plan evaluates with share = "summary": no figures over all sites, only those of each site'
    elif shared(policy, plan.evaluation.share) == "summary":
        yield 'this site\'s policy has share = "summary": its patients do not count in figures over all sites'
