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
from common.ensembles import derived
from common.exceptions import EgressRefusal, ModelError, ProtocolError
from common.messages import (
    LARGEST_LEAF,
    MAXIMUM_TREE_BYTES,
    REPLY_TO,
    SCORE_BINS,
    Behind,
    BoostReply,
    BoostRequest,
    EvaluateReply,
    EvaluateRequest,
    LocalReply,
    LocalRequest,
    ModelUpdates,
    NoisedStatisticsReply,
    StatisticsReply,
)
from common.network_messages import (
    ScoreReply,
    ScoreRequest,
    TrainAloneReply,
    TrainAloneRequest,
    TrainReply,
    TrainRequest,
)
from common.payload import Payload
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
        behind = (Behind,) if isinstance(request, ModelUpdates | ScoreRequest) else ()
        _, reply = records.decode(content, REPLY_TO[type(request)], *behind)
        if isinstance(reply, BoostReply | LocalReply) and isinstance(request, BoostRequest | LocalRequest):
            limits = TreeLimits(plan.trees.max_depth, LARGEST_LEAF, MAXIMUM_TREE_BYTES)
            validate_trees(reply.trees, features=len(columns), limits=limits, at_most=request.trees_wanted)
    except (ProtocolError, ModelError) as error:
        raise EgressRefusal(f"the reply may not leave: {error}") from error
    problem = _beyond(reply, request, plan, policy) or _of_weights(reply, request, plan)
    if isinstance(reply, StatisticsReply | NoisedStatisticsReply):
        problem = problem or _of_tables(reply, plan, policy, layout(plan, columns))
    if problem:
        raise EgressRefusal(f"the reply may not leave: {problem}")


def _of_weights(reply: Payload, request: Payload, plan: Plan) -> str:
    """Say what is wrong with weights that would leave: not some of those received, as large; empty when nothing."""
    if not isinstance(reply, TrainReply | TrainAloneReply) or not isinstance(request, TrainRequest | TrainAloneRequest):
        return ""
    from common.encoders.weights import from_bytes
    from common.networks.sharing import received, trainable_with

    template = received(request.weights)
    try:
        if isinstance(reply, TrainAloneReply):
            from_bytes(reply.weights, template)
            return ""
        if not set(reply.modalities) <= set(plan.encoder(request.stage).encoders):
            return "it names modalities that the network has no encoder for"
        parts = {name: template[name] for name in trainable_with(template, reply.modalities)}
        from_bytes(reply.change, parts)
        if isinstance(request, TrainRequest) and request.controlled:
            from_bytes(reply.control, parts)
        elif reply.control:
            return "it carries control variates, which were not asked for"
    except ModelError as error:
        return str(error)
    stage = plan.encoder(request.stage)
    if stage.privacy is not None and reply.training_loss is not None:
        return "it tells an exact loss, where the plan asks for noise"
    if reply.validation_loss is not None and not stage.validation:
        return "it tells a validation loss, where the plan asks for none"
    return ""


def _of_tables(reply: StatisticsReply | NoisedStatisticsReply, plan: Plan, policy: Policy, asked: Layout) -> str:
    """Say what is wrong with the counts of a reply; empty when nothing."""
    if isinstance(reply, StatisticsReply) and len(reply.known) != len(plan.label_names):
        return "it does not count the answers to each label of the plan"
    if policy.describe != "features" and len(reply.cells) > sum(variable.cells for variable in asked.labels):
        return "this site describes no features"
    if isinstance(reply, NoisedStatisticsReply):
        return noised_problem(reply, asked, plan.statistics.epsilon)
    return exact_problem(reply, asked, policy.minimum_cell)


def _beyond(reply: Payload, request: Payload, plan: Plan, policy: Policy) -> str:
    """Say what a well-formed reply tells beyond what was asked and may be told; empty when nothing."""
    if isinstance(reply, Behind):
        asked_about = {*getattr(request, "targets", ()), *getattr(request, "digests", ())}
        return "" if set(reply.lacking) <= asked_about else "it names models that were not asked about"
    if isinstance(reply, ScoreReply) and isinstance(request, ScoreRequest):
        return "" if set(reply.unable) <= set(request.networks) else "it names networks that were not asked about"
    if isinstance(reply, StatisticsReply):
        whole = [count for count in (0, reply.patients, reply.stays) if count is not None]
        told = list(reply.excluded)
        for answers in zip(reply.known, reply.positives, strict=True):
            shown = [*whole, *(count for count in answers if count >= 0)]
            told += [one - other for one in shown for other in shown]
        return "it tells a small count" if any(0 < count < policy.minimum_cell for count in told) else ""
    if isinstance(reply, EvaluateReply) and isinstance(request, EvaluateRequest):
        if reply.labels != request.labels:
            return "its labels are not those asked about"
        asked = [*request.candidates, *request.networks]
        if reply.candidates != [*asked, *derived(plan, asked), *reply.references]:
            return "its candidates are not those asked about"
        if policy.share != "curves" and (reply.negatives or reply.positives):
            return "this site shares figures, not counts per score bin"
        return "it tells a small count" if _small_class(reply, policy.minimum_cell) else ""
    return ""


def _small_class(reply: EvaluateReply, minimum: int) -> bool:
    """Whether the bins of a candidate and label add up to a class of few, or to few less than a class has."""
    names, models = len(reply.candidates), len(reply.candidates) - len(reply.references)
    told: list[int] = []
    for side in (reply.negatives, reply.positives):
        sums = [sum(side[at : at + SCORE_BINS]) for at in range(0, len(side), SCORE_BINS)]
        for at in (names * place for place in range(len(reply.told))):
            whole, of_references = sums[at : at + models], sums[at + models : at + names]
            told += [*whole, *of_references, *(count - few for count in whole[:1] for few in of_references)]
    return any(0 < count < minimum for count in told)
