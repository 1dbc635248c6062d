"""Tests of encoders need the extra `encoders`; those of DenseNet's layout torchvision, too."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import torch

    torch.set_num_threads(1)  # small products: more threads only wait for each other


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """Return torchvision; of a build for CUDA beside torch for processors, without its own operators."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    try:
        import torchvision
    except RuntimeError:
        global _SCHEMAS
        _SCHEMAS = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            _SCHEMAS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision
