"""Small encoder stages for plans, and the weights that a run leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.numpy

SGD = {"epochs": 3, "batch_size": 4096, "learning_rate": 0.2, "optimizer": "sgd"}
"""Every step sees all rows of a site, so that their order does not matter."""


def stage(name: str, **changes: Any) -> dict[str, Any]:
    """Return an encoder stage over the table: small, without dropout."""
    small = {"encoders": {"table": "tabular"}, "width": 8, "dropout": 0.0, "rounds": 2, "training": SGD}
    return {"kind": "encoder", "name": name, **small, **changes}


def stages(*training: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all stages of a plan around those that train."""
    return [{"kind": "statistics"}, *training, {"kind": "evaluate", "share": "curves", "bootstraps": 100}]


def weights(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the weights that a run released, by the name of their file without seed and fold."""
    found = {file.name.rpartition("-seed")[0]: file.read_bytes() for file in folder.glob("*-seed*.safetensors")}
    return {name: safetensors.numpy.load(content) for name, content in found.items()}
