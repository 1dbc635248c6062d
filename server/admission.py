"""Who takes part: wait for the invited sites, ask them in, compare what their data looks like."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from flwr.serverapp import Grid

from common.audit.event import Event, Kind
from common.exceptions import QuorumError
from common.messages import AdmissionReply, AdmissionRequest, Refusal
from common.plan import Plan
from strategies.rounds.courier import Courier

PAUSE = 0.05


@dataclass(frozen=True)
class Admitted:
    """The sites of a run.

    Attributes
    ----------
    nodes : mapping of site name to Flower node id
    feature_names : tuple of str
        The same at every site.
    versions : mapping of str to str
        Software the sites run, by package; several versions are listed.
    absent : str
        Invited sites that are missing and why, in words; empty when there are none.
    """

    nodes: Mapping[str, int]
    feature_names: tuple[str, ...]
    versions: Mapping[str, str]
    absent: str


def admit(courier: Courier, plan: Plan) -> Admitted:
    """Admit the invited sites that answer before the plan's deadline.

    Raises
    ------
    QuorumError
        Fewer sites than the plan allows, two nodes with one name, or sites whose data has
        another schema; names them.
    """
    deadline = courier.clock() + plan.sites.deadline_seconds
    names = _wait_for_nodes(courier, plan, deadline)
    request = AdmissionRequest(plan_digest=plan.digest)
    delivery = courier.deliver(
        dict.fromkeys(names, request),
        names={node: name for node, name in names.items() if name},
        deadline=max(deadline - courier.clock(), plan.sites.deadline_seconds / 2),
    )
    reasons = {names[node] or f"node {node}": reason for node, reason in delivery.missing.items()}
    replies: dict[str, tuple[int, AdmissionReply]] = {}
    for node, (header, body) in delivery.replies.items():
        if isinstance(body, Refusal):
            reasons[header.sender] = f"refused: {body.reason}"
        elif isinstance(body, AdmissionReply) and body.site == header.sender and _invited(plan, body.site):
            if body.site in replies:
                raise QuorumError(f"admission: two nodes call themselves {body.site}; remove one of them")
            replies[body.site] = node, body
    _judge(plan, set(replies), reasons)
    _check_schema({site: reply for site, (_, reply) in replies.items()})
    absent = _absent(plan, set(replies), reasons)
    if absent:
        courier.log.append(Event(Kind.DECISION, {"run": courier.run, "decision": f"admission: without {absent}"}))
    some = next(iter(replies.values()))[1]
    return Admitted(
        nodes={site: node for site, (node, _) in sorted(replies.items())},
        feature_names=tuple(some.feature_names),
        versions=_versions([reply for _, reply in replies.values()]),
        absent=absent,
    )


def _wait_for_nodes(courier: Courier, plan: Plan, deadline: float) -> dict[int, str]:
    """Node ids online, with the name each key was registered under where the grid knows it."""
    while True:
        names = _online(courier.grid)
        known = set(names.values()) - {""}
        enough = set(plan.sites.names) <= known if known else len(names) >= len(plan.sites.names)
        if (plan.sites.names and enough) or courier.clock() >= deadline:
            return {node: name for node, name in names.items() if not name or _invited(plan, name)}
        if not plan.sites.names and len(names) >= plan.sites.quorum:
            return names
        courier.wait(PAUSE)


def _online(grid: Grid) -> dict[int, str]:
    named = {node.node_id: getattr(node, "name", "") or "" for node in grid.get_nodes()}
    return {node: named.get(node, "") for node in grid.get_node_ids()}


def _invited(plan: Plan, site: str) -> bool:
    return not plan.sites.names or site in plan.sites.names


def _absent(plan: Plan, present: set[str], reasons: Mapping[str, str]) -> str:
    missing = {site: "not connected" for site in plan.sites.names if site not in present} | dict(reasons)
    return "; ".join(f"{site}: {reason}" for site, reason in sorted(missing.items()))


def _judge(plan: Plan, present: set[str], reasons: Mapping[str, str]) -> None:
    absent = _absent(plan, present, reasons)
    if absent and plan.sites.on_missing == "fail":
        raise QuorumError(f'admission: missing {absent}; the plan says on_missing = "fail"')
    if len(present) < plan.sites.quorum:
        raise QuorumError(
            f"admission: {len(present)} sites answered, the quorum is {plan.sites.quorum}"
            + (f"; missing {absent}" if absent else "")
        )


def _check_schema(replies: Mapping[str, AdmissionReply]) -> None:
    by_schema: dict[str, list[str]] = defaultdict(list)
    for site, reply in sorted(replies.items()):
        by_schema[reply.schema_digest].append(site)
    if len(by_schema) > 1:
        groups = "; ".join(f"{', '.join(sites)} ({digest[:12]})" for digest, sites in by_schema.items())
        raise QuorumError(f"admission: the sites' features differ in name, order or unit: {groups}; update the sites")


def _versions(replies: list[AdmissionReply]) -> dict[str, str]:
    found = Counter(version for reply in replies for version in reply.versions)
    packages: dict[str, list[str]] = defaultdict(list)
    for entry in sorted(found):
        package, _, version = entry.partition("==")
        packages[package].append(version)
    return {package: ", ".join(versions) for package, versions in packages.items()}
