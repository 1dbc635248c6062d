"""From mechanisms to epsilon, by dp-accounting.

What counts is the privacy loss distribution (PLD; Koskela, Jälkö and Honkela, AISTATS 2020; discretised upwards as
Doroshenko et al., PoPETs 2022), which is tight. Rényi differential privacy (RDP; Mironov, CSF 2017) is looser, quick,
and what most papers report.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from common.exceptions import PrivacyError
from common.privacy.events import DiscreteLaplace, Mechanism, Unprotected
from common.privacy.losses import Composition

if TYPE_CHECKING:
    from dp_accounting import DpEvent

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
        Discretisation of PLD; coarser is faster and never below the truth. Where it would take too much memory a
        coarser one is used.

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
    bounded = [[one for one in release if not isinstance(one, Unprotected)] for release in mechanisms]
    if not (whole := _counted(one for release in bounded for one in release)):
        yield from (0.0 for _ in mechanisms)
        return
    reached = 0.0
    noised = Composition(whole, STEP, transforms=len(mechanisms)).running(map(_counted, filter(None, bounded)), delta)
    for release in bounded:
        reached = next(noised) if release else reached
        yield reached


def figure(epsilon: float) -> str:
    """Write an epsilon to three decimals, never below what it is."""
    if not math.isfinite(epsilon):
        return "infinity"
    return f"{math.ceil(round(epsilon * 1000, 6)) / 1000:.3f}".rstrip("0").rstrip(".")


@functools.lru_cache(maxsize=256)
def _composed(mechanisms: tuple[Mechanism, ...], delta: float, method: Method, step: float) -> float:
    if not mechanisms:
        return 0.0
    whole = _counted(mechanisms)
    if method == "PLD":
        return next(Composition(whole, step, transforms=len(whole)).running([whole], delta))
    from dp_accounting import UnsupportedEventError, rdp

    accountant = rdp.RdpAccountant(ORDERS)
    try:
        for one, times in whole.items():
            accountant.compose(_event(one), times)
    except UnsupportedEventError as error:
        raise PrivacyError("RDP has no rule for some mechanism; use PLD") from error
    return float(accountant.get_epsilon(delta))


def _counted(mechanisms: Iterable[Mechanism]) -> Counter[Mechanism]:
    """Count single applications: a run's rounds are alike, and all of them are one composition, not many."""
    found: Counter[Mechanism] = Counter()
    for one in mechanisms:
        found[one.once()] += one.times
    return found


def _event(one: Mechanism) -> DpEvent:
    if isinstance(one, DiscreteLaplace):
        from dp_accounting import ZCDpEvent

        # Pure epsilon is epsilon^2 / 2 of zero-concentrated privacy (Bun and Steinke, TCC 2016, proposition 1.4).
        return ZCDpEvent(one.epsilon**2 / 2)
    return one.event()
