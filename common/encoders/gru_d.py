"""A gated recurrent unit for missing values, GRU-D (Che et al., Scientific Reports 2018).

Series (n, L, v) to (n, width). A value not measured is the last one, decayed towards the mean (0 after
scaling) at a learned rate of its variable; the state decays by the hours since each variable was measured.
Valid under DP as it is. ``settings.layers`` is 1: the method has one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape, Steps
from common.encoders.parts.constants import PerRow
from common.encoders.parts.series import Readout, carried, known
from common.exceptions import PlanError

INPUT: Input = "series"
STEPS: Steps = "hours"
PRIVATE = True
_DECAY = 0.02
"""First decay an hour of values, and of the state by all variables together."""


class GruD(nn.Module):
    """The recurrence; all that does not depend on the state is computed for all steps at once."""

    def __init__(self, variables: int, settings: Settings) -> None:
        super().__init__()
        width = self.width = settings.width
        self.value_decay = PerRow(torch.cat([torch.full((variables,), _DECAY), torch.zeros(variables)]))
        self.state_decay = nn.Linear(variables, width)
        self.from_input = nn.Linear(2 * variables, 3 * width)
        self.from_state = nn.Linear(width, 2 * width, bias=False)
        self.from_reset = nn.Linear(width, width, bias=False)
        self.readout = Readout(width, settings.dropout)
        # Decays start small but above the kink at 0, where nothing would be learned.
        nn.init.uniform_(self.state_decay.weight, 0, 2 * _DECAY / variables)
        nn.init.zeros_(self.state_decay.bias)
        for weight in [*self.from_state.weight.detach().chunk(2), self.from_reset.weight.detach()]:
            nn.init.orthogonal_(weight)

    def forward(self, value: Tensor, measured: Tensor, since: Tensor, _: Tensor, length: Tensor) -> Tensor:
        """Embed series; see :mod:`common.encoders.base`. Of times those since a measurement are used."""
        states = self.states(value, measured, since)
        embedding: Tensor = self.readout(states, length)
        return embedding

    def states(self, value: Tensor, measured: Tensor, since: Tensor) -> Tensor:
        """Return the state after each step, (n, L, width)."""
        filled = self.filled(value, measured, since)
        kept = torch.exp(-torch.relu(self.state_decay(since))).unbind(1)
        gates, candidate = self.from_input(torch.cat([filled, measured], dim=2)).split((2 * self.width, self.width), 2)
        state = gates.new_zeros(len(value), self.width)
        states = []
        for keep, gate, propose in zip(kept, gates.unbind(1), candidate.unbind(1), strict=True):
            state = state * keep
            update, reset = torch.sigmoid(gate + self.from_state(state)).chunk(2, dim=1)
            proposed = torch.tanh(propose + self.from_reset(reset * state))
            state = state + update * (proposed - state)  # lerp takes no mixed precision
            states.append(state)
        return torch.stack(states, dim=1)

    def filled(self, value: Tensor, measured: Tensor, since: Tensor) -> Tensor:
        """Return measured values, and decayed ones elsewhere; (n, L, v)."""
        slope, offset = self.value_decay(value)[:, None].chunk(2, dim=2)
        seen = known(value, measured)
        decayed = torch.exp(-torch.relu(slope * since + offset)) * carried(seen, measured)
        return torch.where(measured > 0, seen, decayed)


def build(shape: Shape, settings: Settings) -> GruD:
    """Build the encoder for series of ``shape.columns`` variables.

    Raises
    ------
    PlanError
        More than one layer.
    """
    if settings.layers != 1:
        raise PlanError("gru_d has one layer; settings.layers must be 1")
    return GruD(shape.columns, settings)
