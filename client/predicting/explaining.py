"""What each code of each past admission adds to a network's logit, where its encoder's parts add up exactly.

Such an encoder, ``retain`` for one, has ``contributions``: the network's own sum, not an estimate of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from client.predicting.released import ReleasedModel
from client.predicting.scoring import Scoring
from client.predicting.writing import Column
from client.preprocessing.past_codes import NAMES
from common.clinical.code_sets import ccs_names
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from client.training.examples import Batch, Examples
    from common.encoders.network import Network

REST = "all else"
"""What the head's bias and a network's other modalities add."""
_MODALITY = "visits"
_AT_ONCE = 512
_MEANINGS = {**dict(zip(NAMES, ccs_names().values(), strict=True)), REST: ""}


def explain(scoring: Scoring, models: Sequence[ReleasedModel]) -> dict[str, Column]:
    """Split the logits of some models' networks, row by row and label by label.

    Returns
    -------
    mapping of name to column
        A line an admission and code that it has, and one of what is left: those of a row, label and network add up to
        its logit. Admissions are counted back from the latest, which is 1, and told with their days before the
        prediction.

    Raises
    ------
    ConfigurationError
        No model has an encoder whose parts add up.
    """
    found = [part for model in models if model.is_network for part in _of_model(scoring, model)]
    if not found:
        raise ConfigurationError(
            "none of the models has an encoder of visits whose parts add up, such as retain: leave out --explain"
        )
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _of_model(scoring: Scoring, model: ReleasedModel) -> Iterator[Mapping[str, Column]]:
    examples, network = scoring.network(scoring.stage_of(model), model)
    if _MODALITY not in network.encoders or not hasattr(network.encoders[_MODALITY], "contributions"):
        return
    network.eval()
    for place, label in enumerate(scoring.run.plan.label_names):
        part = _of_label(network, examples, place, scoring.run.columns[_MODALITY])
        at, count = part.pop("at"), len(part["code"])
        yield {
            "patient": scoring.cohort.patients[at],
            "row": at + 1,
            "model": np.repeat(model.name, count),
            "seed": np.repeat(model.seed, count),
            "fold": np.repeat(model.fold, count),
            "label": np.repeat(label, count),
            **part,
            "meaning": np.array([_MEANINGS.get(code, "") for code in part["code"]]),
            "model_digest": np.repeat(model.digest, count),
        }


def _of_label(network: Network, examples: Examples, label: int, codes: Sequence[str]) -> dict[str, Column]:
    """Return the parts of one label's logits, row by row; ``at`` is the row's position."""
    device = network.head.weight.device
    found = []
    for start in range(0, len(examples), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(examples)))
        part = _split(network, examples.batch(rows, device), label, codes)
        found.append({**part, "at": rows[part["at"]]})
    whole = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    order = np.argsort(whole["at"], kind="stable")
    return {name: values[order] for name, values in whole.items()}


def _split(network: Network, batch: Batch, label: int, codes: Sequence[str]) -> dict[str, Column]:
    import torch

    given, head, encoder = batch.inputs[_MODALITY], network.head, network.encoders[_MODALITY]
    contributions: Any = encoder.contributions
    with torch.inference_mode():
        sides = dict(zip(network.widths, torch.split(head.weight[label], list(network.widths.values())), strict=True))
        parts = contributions(sides[_MODALITY], *given)
        beside = torch.cat([torch.zeros_like(one) if name == _MODALITY else one for name, one in sides.items()])
        rest = network.embed(batch.inputs, batch.present) @ beside + head.bias[label]
        at, visit, code = (one.cpu().numpy() for one in parts.nonzero(as_tuple=True))
        values, left, days, length = (one.cpu().numpy() for one in (parts, rest, *given[1:]))
    every = np.arange(len(batch))
    return {
        "at": np.concatenate([at, every]),
        "admission": np.concatenate([length[at] - visit, np.zeros_like(every)]),
        "days": np.concatenate([days[at, visit], np.full(len(every), np.nan)]).astype(np.float64),
        "code": np.concatenate([np.array(codes)[code], np.repeat(REST, len(every))]),
        "contribution": np.concatenate([values[at, visit, code], left]).astype(np.float64),
    }
