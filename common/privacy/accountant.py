"""From mechanisms to epsilon, by dp-accounting.

What counts is the privacy loss distribution (PLD; Koskela, Jälkö and Honkela, AISTATS 2020; discretised upwards as
Doroshenko et al., PoPETs 2022), which is tight. Rényi differential privacy (RDP; Mironov, CSF 2017) is looser, quick,
and what most papers report.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from common.exceptions import PrivacyError
from common.privacy.events import DiscreteLaplace, Mechanism, Unprotected

if TYPE_CHECKING:
    from dp_accounting import DpEvent, PrivacyAccountant

Method = Literal["PLD", "RDP"]
STEP = 1e-4
"""Of the discretised privacy loss: dp-accounting's default, good to four digits from epsilon = 0.01 on."""
ORDERS = (*(2 + k / 10 for k in range(90)), *range(11, 64), 128, 256, 512)


def name(method: Method = "PLD") -> str:
    """Accountant and version, as every statement of an epsilon has to name them."""
    return f"{method}, dp-accounting {version('dp-accounting')}"


def epsilon(mechanisms: Sequence[Mechanism], delta: float, *, method: Method = "PLD", step: float = STEP) -> float:
    """Epsilon of everything a patient went through, composed.

    Parameters
    ----------
    mechanisms : sequence of Mechanism
        In any order.
    delta : float
        Of the whole; above 0, below 1.
    method : "PLD" or "RDP"
        PLD only, where records instead of patients were sampled.
    step : float
        Discretisation of PLD; coarser is faster and never below the truth.

    Returns
    -------
    float
        Infinity as soon as one is unprotected; 0 without any.

    Raises
    ------
    PrivacyError
        Delta is out of range, or the method has no rule for a mechanism.
    """
    if not 0 < delta < 1:
        raise PrivacyError("delta is above 0 and below 1")
    if any(isinstance(one, Unprotected) for one in mechanisms):
        return math.inf
    return _composed(tuple(sorted(mechanisms, key=repr)), delta, method, step)


def running(mechanisms: Sequence[Sequence[Mechanism]], delta: float) -> Iterator[float]:
    """Epsilon after each of several releases, by PLD; an unprotected one adds nothing here."""
    accountant = _accountant("PLD", STEP)
    for release in mechanisms:
        for one in release:
            if not isinstance(one, Unprotected):
                accountant.compose(one.event())
        yield float(accountant.get_epsilon(delta))


def figure(epsilon: float) -> str:
    """Write an epsilon to three decimals, never below what it is."""
    if math.isinf(epsilon):
        return "infinity"
    return f"{math.ceil(round(epsilon * 1000, 6)) / 1000:.3f}".rstrip("0").rstrip(".")


@functools.lru_cache(maxsize=256)
def _composed(mechanisms: tuple[Mechanism, ...], delta: float, method: Method, step: float) -> float:
    if not mechanisms:
        return 0.0
    from dp_accounting import UnsupportedEventError

    accountant = _accountant(method, step)
    try:
        for one, times in Counter(mechanisms).items():  # a run's rounds are alike: one composition of them, not many
            accountant.compose(_event(one, method), times)
    except UnsupportedEventError as error:
        raise PrivacyError(f"{method} has no rule for some mechanism; use PLD") from error
    return float(accountant.get_epsilon(delta))


def _accountant(method: Method, step: float) -> PrivacyAccountant:
    from dp_accounting import pld, rdp

    return pld.PLDAccountant(value_discretization_interval=step) if method == "PLD" else rdp.RdpAccountant(ORDERS)


def _event(one: Mechanism, method: Method) -> DpEvent:
    if method == "RDP" and isinstance(one, DiscreteLaplace):
        from dp_accounting import ZCDpEvent

        # Pure epsilon is epsilon^2 / 2 of zero-concentrated privacy (Bun and Steinke, TCC 2016, proposition 1.4).
        return ZCDpEvent(one.count * one.epsilon**2 / 2)
    return one.event()
