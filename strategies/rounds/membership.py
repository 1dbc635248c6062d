"""Who takes part in a run, and whether enough of them do.

A site that misses a deadline is not waited for again until it answers; it still gets every
request, so that it can come back. Each exchange ends in one of three ways: all asked sites
answered; some did not and the plan says "continue" (a logged decision, as long as the quorum
of sites holds); or :class:`QuorumError`, naming who is missing and why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from common.audit.event import Event, Kind
from common.exceptions import FedwardError, QuorumError
from common.messages import Behind
from common.payload import Payload, Refusal
from common.plan_tables import Sites
from strategies.rounds.courier import Courier

R = TypeVar("R", bound=Payload)


@dataclass(frozen=True)
class Answers(Generic[R]):
    """Replies of one exchange by site name, sorted; who lacks trees; who is missing and why.

    ``took`` is the seconds until a site's reply was there, ``sizes`` its bytes.
    """

    replies: Mapping[str, R]
    behind: Mapping[str, Behind]
    missing: Mapping[str, str]
    seconds: float
    bytes_down: int
    took: Mapping[str, float]
    sizes: Mapping[str, int]

    @property
    def bytes_up(self) -> int:
        """Bytes of all replies, used or not."""
        return sum(self.sizes.values())


@dataclass
class Members:
    """The admitted sites of a run, by name.

    Parameters
    ----------
    courier : Courier
    names : tuple of str
        Sites of the run, fixed when it first started, sorted: the order of aggregation everywhere.
    nodes : mapping of site name to Flower node id
        Those that are connected; after a restart some may be missing.
    rule : Sites
        The plan's quorum, deadline and what to do about missing sites.
    """

    courier: Courier
    names: tuple[str, ...]
    nodes: Mapping[str, int]
    rule: Sites
    _away: set[str] = field(default_factory=set)

    def ask(
        self,
        requests: Mapping[str, Payload],
        reply: type[R],
        *,
        what: str,
        check: Callable[[str, R], None] | None = None,
        may_be_behind: bool = False,
        lost: Collection[str] = (),
    ) -> Answers[R]:
        """Ask sites, wait, judge.

        Parameters
        ----------
        requests : mapping of site name to request
        reply : type
            The payload that counts as an answer.
        what : str
            Names the exchange in errors and decisions ("fedxgb_bagging, seed 7, fold 0, round 3").
        check : callable, optional
            Given site and reply; raises a FedwardError on one that must not be used; the site then counts as missing.
        may_be_behind : bool
            Whether a site may answer that it lacks trees, and does not count as missing then.
        lost : collection of str
            Sites that the same round has lost already; they do not count towards the quorum.

        Raises
        ------
        QuorumError
            A site is missing and the plan says "fail", or fewer than the quorum remain.
        """
        names = {self.nodes[site]: site for site in requests if site in self.nodes}
        delivery = self.courier.deliver(
            {node: requests[site] for node, site in names.items()},
            names=names,
            deadline=self.rule.deadline_seconds,
            not_awaited=frozenset(self.nodes[site] for site in names.values() if site in self._away),
        )
        missing = {names[node]: reason for node, reason in delivery.missing.items()}
        missing |= {site: "not connected since the run was resumed" for site in requests if site not in self.nodes}
        replies: dict[str, R] = {}
        behind: dict[str, Behind] = {}
        for site in sorted(names[node] for node in delivery.replies):
            body = delivery.replies[self.nodes[site]][1]
            if isinstance(body, Refusal):
                missing[site] = f"refused: {body.reason}"
            elif isinstance(body, Behind) and may_be_behind:
                behind[site] = body
            elif problem := _problem(site, body, reply, check):
                missing[site] = problem
            else:
                replies[site] = body  # type: ignore[assignment]
        self._note_absence(missing, {name for name in self.nodes if self.nodes[name] in delivery.returned})
        self.judge(missing, what, lost)
        took = {names[node]: seconds for node, seconds in delivery.took.items()}
        sizes = {names[node]: size for node, size in delivery.sizes.items()}
        return Answers(replies, behind, missing, delivery.seconds, delivery.bytes_down, took, sizes)

    def _note_absence(self, missing: Mapping[str, str], returned: set[str]) -> None:
        gone = {site for site, reason in missing.items() if not reason.startswith(("refused", "invalid"))}
        self._away = (self._away | gone) - returned

    def judge(self, missing: Mapping[str, str], what: str, lost: Collection[str] = ()) -> None:
        """Go on without sites that are missing for a reason, and log it; or do not (QuorumError).

        Parameters
        ----------
        missing : mapping of site name to reason
        what, lost
            As in :meth:`ask`.
        """
        if not missing:
            return
        absent = "; ".join(f"{site}: {reason}" for site, reason in sorted(missing.items()))
        left = len(set(self.names) & set(self.nodes) - set(missing) - set(lost) - self._away)
        if self.rule.on_missing == "fail":
            raise QuorumError(f'{what}: missing {absent}; the plan says on_missing = "fail"')
        if left < self.rule.quorum:
            raise QuorumError(f"{what}: missing {absent}; {left} sites are left, the quorum is {self.rule.quorum}")
        decisions = [f"{what}: went on without {site}: {reason}" for site, reason in sorted(missing.items())]
        self.courier.log.append(
            *(Event(Kind.DECISION, {"run": self.courier.run, "decision": decision}) for decision in decisions)
        )


def _problem(site: str, body: Payload, reply: type[R], check: Callable[[str, R], None] | None) -> str:
    if not isinstance(body, reply):
        return "invalid reply: of another kind"
    try:
        if check:
            check(site, body)
    except FedwardError as error:
        return f"invalid reply: {error.public}"
    return ""
