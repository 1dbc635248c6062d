"""The last gate before a reply leaves: an allow-list of what each request may be answered with.

Whatever the plan or a handler says, a reply holds the declared records, fields, types, lengths
and bounds of :mod:`common.messages` and nothing else, its trees carry splits and leaves only, and it
speaks of nothing but what was asked. Refusals are not a handler's to write: it raises.
"""

from __future__ import annotations

from collections.abc import Sequence

from flwr.app import RecordDict

from client.settings import Policy
from common import records
from common.boosting.validation import TreeLimits, validate_trees
from common.clinical.tables import exact_problem, noised_problem
from common.clinical.variables import Layout, layout
from common.exceptions import EgressRefusal, ModelError, ProtocolError
from common.messages import (
    LARGEST_LEAF,
    MAXIMUM_TREE_BYTES,
    MEAN_OF_LOCAL,
    REPLY_TO,
    Behind,
    BoostReply,
    BoostRequest,
    EvaluateReply,
    EvaluateRequest,
    LocalReply,
    LocalRequest,
    ModelUpdates,
    NoisedStatisticsReply,
    Payload,
    StatisticsReply,
)
from common.plan import Plan


def inspect(content: RecordDict, request: Payload, plan: Plan, policy: Policy, columns: Sequence[str]) -> None:
    """Refuse a reply that carries anything its request does not allow.

    Parameters
    ----------
    content : RecordDict
        The reply as it would leave.
    request : Payload
        What was asked.
    plan, policy
        Bounds on trees; the smallest count, and whether counts per score bin may leave.
    columns : sequence of str
        Of the site's table; none when no data was opened.

    Raises
    ------
    EgressRefusal
        Nothing may leave; names the field, never a value.
    """
    try:
        behind = (Behind,) if isinstance(request, ModelUpdates) else ()
        _, reply = records.decode(content, REPLY_TO[type(request)], *behind)
        if isinstance(reply, BoostReply | LocalReply) and isinstance(request, BoostRequest | LocalRequest):
            limits = TreeLimits(plan.trees.max_depth, LARGEST_LEAF, MAXIMUM_TREE_BYTES)
            validate_trees(reply.trees, features=len(columns), limits=limits, at_most=request.trees_wanted)
    except (ProtocolError, ModelError) as error:
        raise EgressRefusal(f"the reply may not leave: {error}") from error
    problem = _beyond(reply, request, policy)
    if isinstance(reply, StatisticsReply | NoisedStatisticsReply):
        problem = problem or _of_tables(reply, plan, policy, layout(plan, columns))
    if problem:
        raise EgressRefusal(f"the reply may not leave: {problem}")


def _of_tables(reply: StatisticsReply | NoisedStatisticsReply, plan: Plan, policy: Policy, asked: Layout) -> str:
    """Say what is wrong with the tables of a reply; empty when nothing."""
    if policy.describe != "features" and len(reply.cells) > sum(variable.cells for variable in asked.labels):
        return "this site describes no features"
    if isinstance(reply, NoisedStatisticsReply):
        return noised_problem(reply, asked, plan.statistics.epsilon)
    return exact_problem(reply, asked, policy.minimum_cell)


def _beyond(reply: Payload, request: Payload, policy: Policy) -> str:
    """Say what a well-formed reply tells beyond what was asked and may be told; empty when nothing."""
    if isinstance(reply, Behind) and isinstance(request, ModelUpdates):
        return "" if set(reply.lacking) <= set(request.targets) else "it names models that were not asked about"
    if isinstance(reply, StatisticsReply):
        shown = [count for count in (0, reply.patients, reply.stays, reply.positives) if count is not None]
        told = [*(one - other for one in shown for other in shown), *reply.excluded]
        return "it tells a small count" if any(0 < count < policy.minimum_cell for count in told) else ""
    if isinstance(reply, EvaluateReply) and isinstance(request, EvaluateRequest):
        mean = [MEAN_OF_LOCAL] if any(name.startswith("local/") for name in request.candidates) else []
        if reply.candidates != [*request.candidates, *mean, *reply.references]:
            return "its candidates are not those asked about"
        if policy.share != "curves" and (reply.negatives or reply.positives):
            return "this site shares figures, not counts per score bin"
    return ""
