"""What a federated algorithm asks of a site besides training the received weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Keeps = Literal["nothing", "normalisation", "head"]


@dataclass(frozen=True)
class LocalRule:
    """A strategy's part that runs at the sites.

    Attributes
    ----------
    proximal : float
        mu >= 0 of FedProx (Li et al., MLSys 2020): ``mu / 2`` times the squared distance to the received weights
        is added to the loss.
    keeps : {"nothing", "normalisation", "head"}
        Parameters that stay at the site: never sent, each site's own from round to round.
    controlled : bool
        Whether gradients are corrected by control variates (SCAFFOLD, Karimireddy et al., ICML 2020).
    personal : float
        lambda >= 0 of Ditto (Li et al., ICML 2021): a site trains a second network that is its own, held to the
        received weights by ``lambda / 2`` times the squared distance; 0 is none.
    """

    proximal: float = 0.0
    keeps: Keeps = "nothing"
    controlled: bool = False
    personal: float = 0.0
