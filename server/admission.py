"""Who takes part: wait for the invited sites, ask them in, compare what their data looks like."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.audit.event import Event, Kind
from common.exceptions import QuorumError
from common.messages import AdmissionReply, AdmissionRequest
from common.payload import Header, Payload, Refusal
from common.plan import Plan
from strategies.rounds.courier import NOT_CONNECTED, Courier

PAUSE, LONG_PAUSE = 0.05, 1.0


@dataclass(frozen=True)
class Admitted:
    """The sites of a run.

    Attributes
    ----------
    nodes : mapping of site name to Flower node id
    feature_names : tuple of str
        The same at every site.
    modalities : tuple of str
        Of which each feature is.
    columns : mapping of modality to tuple of str
        What networks are given, the same at every site.
    versions : mapping of str to str
        Software the sites run, by package; several versions are listed.
    synthetic : tuple of str
        Sites whose patients are invented, as they say themselves; sorted.
    schema_digest : str
        SHA-256 of the features' names and units, the same at every site.
    """

    nodes: Mapping[str, int]
    feature_names: tuple[str, ...]
    modalities: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    versions: Mapping[str, str]
    synthetic: tuple[str, ...]
    schema_digest: str


def admit(courier: Courier, plan: Plan, *, registered: bool) -> Admitted:
    """Admit the invited sites that answer before the plan's deadline.

    Parameters
    ----------
    courier, plan
    registered : bool
        Whether the grid knows under which site's name each node's key was registered. Then a node without a name is
        refused, since it could speak for any site; Flower's own simulation names none.

    Raises
    ------
    QuorumError
        Fewer sites than the plan allows, two nodes with one name, or sites whose data has
        another schema; names them.
    """
    answered, reasons = _ask(courier, plan, registered)
    replies: dict[str, tuple[int, AdmissionReply]] = {}
    for node, (header, body) in answered.items():
        if not _invited(plan, header.sender):
            continue
        if isinstance(body, Refusal):
            reasons[header.sender] = f"refused: {body.reason}"
        elif not isinstance(body, AdmissionReply) or body.site != header.sender:
            reasons[header.sender] = "invalid reply: not the site's own admission"
        elif header.sender in replies:
            raise QuorumError(
                f"admission: two nodes, {replies[header.sender][0]} and {node}, call themselves {header.sender}; "
                "remove one of them"
            )
        else:
            replies[header.sender] = node, body
    absent = _absent(plan, set(replies), reasons)
    _judge(plan, len(replies), absent)
    _check_schema({site: reply for site, (_, reply) in replies.items()})
    decisions = [f"admission: went on without {site}: {reason}" for site, reason in sorted(absent.items())]
    if decisions:
        courier.log.append(*(Event(Kind.DECISION, {"run": courier.run, "decision": each}) for each in decisions))
    some = next(iter(replies.values()))[1]
    return Admitted(
        nodes={site: node for site, (node, _) in sorted(replies.items())},
        feature_names=tuple(some.feature_names),
        modalities=tuple(some.modalities),
        columns=_columns(some.inputs),
        versions=_versions([reply for _, reply in replies.values()]),
        synthetic=tuple(site for site, (_, reply) in sorted(replies.items()) if reply.synthetic),
        schema_digest=some.schema_digest,
    )


def _columns(inputs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for one in inputs:
        modality, _, name = one.partition(":")
        found[modality].append(name)
    return {modality: tuple(names) for modality, names in found.items()}


def _ask(courier: Courier, plan: Plan, registered: bool) -> tuple[dict[int, tuple[Header, Payload]], dict[str, str]]:
    """Return the replies by node, and who gave none and why, or was not asked.

    A node that was cut off is shown as connected for a while; it is asked again until the deadline.
    """
    deadline = courier.clock() + plan.sites.deadline_seconds
    request = AdmissionRequest(plan_digest=plan.digest)
    replies: dict[int, tuple[Header, Payload]] = {}
    while True:
        names, strangers = _wait_for_nodes(courier, plan, deadline, registered)
        delivery = courier.deliver(
            {node: request for node in names if node not in replies},
            names={node: name for node, name in names.items() if name},
            deadline=max(deadline - courier.clock(), plan.sites.deadline_seconds / 2),
        )
        replies |= delivery.replies
        cut_off = [reason for reason in delivery.missing.values() if NOT_CONNECTED in reason]
        if not cut_off or courier.clock() >= deadline:
            missing = {names[node] or f"node {node}": reason for node, reason in delivery.missing.items()}
            return replies, missing | _refused(courier, strangers)
        courier.wait(LONG_PAUSE)


def _wait_for_nodes(
    courier: Courier, plan: Plan, deadline: float, registered: bool
) -> tuple[dict[int, str], list[int]]:
    """Node ids online, with the name each key was registered under, and those that would need one and have none."""
    while True:
        online = {node.node_id: node.name for node in courier.grid.get_nodes()}
        names = {node: name for node, name in online.items() if name or not registered}
        strangers = sorted(online.keys() - names.keys())
        known = set(names.values()) - {""}
        enough = set(plan.sites.names) <= known if known else len(names) >= len(plan.sites.names)
        if (plan.sites.names and enough) or courier.clock() >= deadline:
            return {node: name for node, name in names.items() if not name or _invited(plan, name)}, strangers
        if not plan.sites.names and len(names) >= plan.sites.quorum:
            return names, strangers
        courier.wait(PAUSE)


def _refused(courier: Courier, strangers: Sequence[int]) -> dict[str, str]:
    """Say of each node without a name why it is not asked; audited, as whoever is behind it may have meant harm."""
    reason = (
        "its key is registered under no site's name, so it may speak for none; unregister it, put the site's public "
        "key into the coordinator's folder 'nodes' as <site>.pub, and launch the coordinator again"
    )
    found = {f"node {node}": f"refused: {reason}" for node in strangers}
    events = [Event(Kind.REFUSAL, {"run": courier.run, "site": node, "reason": why}) for node, why in found.items()]
    if events:
        courier.log.append(*events)
    return found


def _invited(plan: Plan, site: str) -> bool:
    return not plan.sites.names or site in plan.sites.names


def _absent(plan: Plan, present: set[str], reasons: Mapping[str, str]) -> dict[str, str]:
    """Who is missing and why; what nodes nobody knows say matters only while somebody is missing."""
    missing = {site: "not connected" for site in plan.sites.names if site not in present}
    return {**missing, **reasons} if missing or not plan.sites.names else {}


def _judge(plan: Plan, present: int, absent: Mapping[str, str]) -> None:
    missing = "; ".join(f"{site}: {reason}" for site, reason in sorted(absent.items()))
    if missing and plan.sites.on_missing == "fail":
        raise QuorumError(f'admission: missing {missing}; the plan says on_missing = "fail"')
    if present < plan.sites.quorum:
        raise QuorumError(
            f"admission: {present} sites answered, the quorum is {plan.sites.quorum}"
            + (f"; missing {missing}" if missing else "")
        )


def _check_schema(replies: Mapping[str, AdmissionReply]) -> None:
    by_schema: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for site, reply in sorted(replies.items()):
        by_schema[reply.schema_digest, *reply.feature_names, *reply.modalities, *reply.inputs].append(site)
    if len(by_schema) > 1:
        groups = "; ".join(f"{', '.join(sites)} ({schema[0][:12]})" for schema, sites in by_schema.items())
        raise QuorumError(f"admission: the sites' features differ in name, order or unit: {groups}; update the sites")


def _versions(replies: list[AdmissionReply]) -> dict[str, str]:
    found = Counter(version for reply in replies for version in reply.versions)
    packages: dict[str, list[str]] = defaultdict(list)
    for entry in sorted(found):
        package, _, version = entry.partition("==")
        packages[package].append(version)
    return {package: ", ".join(versions) for package, versions in packages.items()}
