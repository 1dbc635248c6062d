"""The last gate before a reply leaves: an allow-list of what each request may be answered with.

Whatever the plan or a handler says, a reply holds the declared records, fields, types, lengths
and bounds of :mod:`common.messages` and nothing else, and its trees carry splits and leaves only.
"""

from __future__ import annotations

from flwr.app import RecordDict

from client.settings import Policy
from common import records
from common.boosting.validation import TreeLimits, validate_trees
from common.exceptions import EgressRefusal, ModelError, ProtocolError
from common.messages import (
    LARGEST_LEAF,
    MAXIMUM_TREE_BYTES,
    REPLY_TO,
    Behind,
    BoostReply,
    BoostRequest,
    EvaluateReply,
    LocalReply,
    LocalRequest,
    Payload,
    Refusal,
)
from common.plan import Plan


def inspect(content: RecordDict, request: Payload, plan: Plan, policy: Policy, features: int) -> None:
    """Refuse a reply that carries anything its request does not allow.

    Parameters
    ----------
    content : RecordDict
        The reply as it would leave.
    request : Payload
        What was asked.
    plan, policy
        Bounds on trees; whether counts per score bin may leave.
    features : int
        Columns of the site's cohort; 0 when no data was opened.

    Raises
    ------
    EgressRefusal
        Nothing may leave; names the field, never a value.
    """
    try:
        _, reply = records.decode(content, REPLY_TO[type(request)], Behind, Refusal)
        if isinstance(reply, BoostReply | LocalReply) and isinstance(request, BoostRequest | LocalRequest):
            limits = TreeLimits(plan.trees.max_depth, LARGEST_LEAF, MAXIMUM_TREE_BYTES)
            validate_trees(reply.trees, features=features, limits=limits, at_most=request.trees_wanted)
    except (ProtocolError, ModelError) as error:
        raise EgressRefusal(f"the reply may not leave: {error}") from error
    if isinstance(reply, EvaluateReply) and (reply.negatives or reply.positives) and policy.share != "curves":
        raise EgressRefusal("the reply may not leave: this site shares figures, not counts per score bin")
