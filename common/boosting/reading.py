"""A model file read back into its trees, each checked before XGBoost sees it."""

from __future__ import annotations

from common.boosting.model import Model, ModelHeader, to_xgboost_json
from common.boosting.validation import TreeLimits, validate_trees
from common.exceptions import ModelError
from common.serialization import canonical, parse


def from_xgboost_json(content: bytes, limits: TreeLimits) -> Model:
    """Read a file that :func:`common.boosting.model.to_xgboost_json` wrote, whoever had it since.

    The trees are one segment here, as a file does not tell in which rounds they came.

    Raises
    ------
    ModelError
        A tree is malformed, or the file would not be written like that.
    """
    try:
        learner = parse(content)["learner"]
        base_score = float(learner["learner_model_param"]["base_score"].strip("[]"))
        header = ModelHeader(base_score, tuple(learner["feature_names"]))
        trees = [canonical({**tree, "id": 0}) for tree in learner["gradient_booster"]["model"]["trees"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError("the file of trees is no XGBoost model in JSON") from error
    if not trees:
        return Model(header)
    validate_trees(trees, features=len(header.feature_names), limits=limits, at_most=len(trees))
    model = Model(header).append(trees)
    if to_xgboost_json(model) != content:
        raise ModelError("the file of trees holds more than its trees, or was written by another program")
    return model
