"""Small trainable layers inside an encoder that rests: bottleneck adapters.

As Houlsby et al. (ICML 2019) put them between a transformer's layers: to fewer channels, a rectification, and back,
beside a shortcut; here at every place of the maps, as the residual adapters of Rebuffi et al. (NeurIPS 2017) are. The
way back begins with zeros, so that training starts from the resting encoder exactly.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Adapter(nn.Module):
    """Maps (n, given, ...) changed a little."""

    def __init__(self, given: int, channels: int) -> None:
        super().__init__()
        self.down = nn.Linear(given, channels, bias=False)
        self.up = nn.Linear(channels, given, bias=False)
        nn.init.kaiming_normal_(self.down.weight, nonlinearity="relu")
        nn.init.zeros_(self.up.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """Take (n, given, ...) to the same shape."""
        change: Tensor = self.up(functional.relu(self.down(maps.movedim(1, -1))))
        return maps + change.movedim(-1, 1)

    def after(self, layer: nn.Module, given: tuple[Tensor, ...], maps: Tensor) -> Tensor:  # noqa: ARG002
        """Stand behind a layer; a bound method, so that a copy of the encoder gets the copy of the adapter."""
        adapted: Tensor = self(maps)
        return adapted


class Adapted(nn.Module):
    """An encoder that rests, batch statistics included, with an adapter behind each of its levels.

    Parameters
    ----------
    backbone : Module
        An encoder of films or volumes; its ``levels`` are names of layers, with the channels of what they give.
    channels : int
        Of the bottlenecks.
    """

    def __init__(self, backbone: nn.Module, channels: int) -> None:
        super().__init__()
        self.width: int = backbone.width  # type: ignore[assignment]
        self.backbone = backbone.requires_grad_(False).eval()
        levels: dict[str, int] = backbone.levels  # type: ignore[assignment]
        adapters = {name: Adapter(given, channels) for name, given in levels.items()}
        for name, adapter in adapters.items():
            backbone.get_submodule(name).register_forward_hook(adapter.after)
        self.adapters = nn.ModuleList(adapters.values())

    def forward(self, images: Tensor) -> Tensor:
        """Embed as the encoder does; see :mod:`common.encoders.base`."""
        embedding: Tensor = self.backbone(images)
        return embedding

    def train(self, mode: bool = True) -> Adapted:
        """Set the mode of the adapters; the encoder stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self
