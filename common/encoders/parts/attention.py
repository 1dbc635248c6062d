"""Self-attention over the real steps of a series, in the form hooks can take per-sample gradients of."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = 4


class SelfAttention(nn.Module):
    """Attention of four heads (Vaswani et al., 2017); padding is attended to by nobody."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ask = nn.Linear(width, 3 * width, bias=False)  # queries, keys, values; a key's bias would do nothing
        self.answer = nn.Linear(width, width)

    def forward(self, steps: Tensor, valid: Tensor) -> Tensor:
        """Take (n, L, width) and which steps are real, (n, L) bool, to (n, L, width)."""
        n, length, width = steps.shape
        asked = self.ask(steps).view(n, length, 3, HEADS, width // HEADS).transpose(1, 3)
        query, key, value = asked.unbind(2)
        # A row without any real step attends to its first, lest a softmax over nothing is not a number.
        first = torch.arange(length, device=steps.device) == 0
        seen = (valid | (first & ~valid[:, :1]))[:, None, None]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        answer: Tensor = self.answer(mixed.transpose(1, 2).reshape(n, length, width))
        return answer


class Block(nn.Module):
    """A transformer layer with normalisation ahead of each half (Xiong et al., 2020)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.attention = SelfAttention(width)
        self.feed = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, valid: Tensor) -> Tensor:
        """Take (n, L, width) and (n, L) bool to (n, L, width)."""
        steps = steps + self.dropout(self.attention(self.before(steps), valid))
        fed: Tensor = self.dropout(self.feed(steps))
        return steps + fed


def waves(time: Tensor, width: int, longest: float) -> Tensor:
    """Describe moments by sines and cosines (Vaswani et al., 2017; of times: Horn et al., 2020).

    Parameters
    ----------
    time : (n, L) float32
    width : int
        Even.
    longest : float
        Longest wavelength over 2 pi, in the unit of time; the shortest is 1/100 of it.

    Returns
    -------
    (n, L, width) float32
    """
    steps = torch.arange(width // 2, device=time.device) / max(width // 2 - 1, 1)
    angle = time[:, :, None] / (longest * torch.exp(-math.log(100.0) * steps))
    return torch.cat([angle.sin(), angle.cos()], dim=2)
