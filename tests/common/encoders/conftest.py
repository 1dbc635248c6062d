"""Tests of encoders need the extra `encoders`; those of DenseNet's layout torchvision, too."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

DECLARED = torch.library.Library("torchvision", "FRAGMENT")
"""Operators declared here last as long as this does."""


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """Return torchvision; a build for CUDA beside a torch for processors alone lacks two operators that it names."""
    try:
        import torchvision
    except RuntimeError:  # "operator torchvision::nms does not exist"
        for operator in ("nms", "qnms"):
            DECLARED.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision
