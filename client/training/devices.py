"""The device of a site, which no plan knows of."""

from __future__ import annotations

import torch

from common.exceptions import ConfigurationError


def devices(setting: str) -> tuple[torch.device, ...]:
    """Return the devices that ``device`` in ``site.toml`` names.

    The first holds the network. Training without noise divides each batch over all of them; scoring, and training
    with noise, which gathers a gradient of every patient, are the first one's.

    Raises
    ------
    ConfigurationError
        A device is named twice, or one that this machine does not have.
    """
    if setting == "auto":
        return (torch.device("cuda:0" if torch.cuda.is_available() else "cpu"),)
    found = tuple(torch.device(name if ":" in name or name == "cpu" else f"{name}:0") for name in setting.split(","))
    if len(set(found)) < len(found):
        raise ConfigurationError(f'device = "{setting}" in site.toml names a device twice')
    for one in found:
        if one.type == "cuda" and (not torch.cuda.is_available() or one.index >= torch.cuda.device_count()):
            raise ConfigurationError(
                f'device = "{setting}" in site.toml: this machine has {torch.cuda.device_count()} CUDA devices'
            )
    return found
