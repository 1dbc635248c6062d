"""What a release did to the privacy of a patient: the mechanism, never an epsilon.

An epsilon is a statement about everything that was released together; mechanisms can be composed again
whenever another one joins them. Each is one of dp-accounting's events, under which a data set's neighbour has
one patient more or less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from common.exceptions import PrivacyError

if TYPE_CHECKING:
    from dp_accounting import DpEvent

LARGEST_COUNT = 10**7
LEAST_NOISE, MOST_NOISE = 0.01, 1e6
"""Multipliers: a step with less costs an epsilon of thousands, one with more nothing that could be told."""
LEAST_RATE = 1e-9
_DEVIATIONS = 10.0
"""Of normal noise: rarer is less than exp(-50)."""


class Mechanism:
    """Base of the mechanisms: frozen, hashable, with one canonical JSON form."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, str | float]:
        """Kind and parameters; :func:`from_json` reads them."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]

    @property
    def times(self) -> int:
        """How often it is applied."""
        return 1

    def once(self) -> Mechanism:
        """Return one application."""
        return self

    @property
    def reach(self) -> float:
        """Largest privacy loss of one application, up to what is rarer than exp(-50)."""
        raise PrivacyError(f"a mechanism of kind {self.kind} has no bound that could be accounted for")

    def event(self) -> DpEvent:
        """Return dp-accounting's event of one application."""
        raise PrivacyError(f"a mechanism of kind {self.kind} has no bound that could be accounted for")


@dataclass(frozen=True)
class SampledGaussian(Mechanism):
    """DP-SGD: ``steps`` sums over patients who take part independently, each with the same probability.

    Attributes
    ----------
    noise_multiplier : float
        Standard deviation of the noise over the most that a patient contributes; above 0.
    sample_rate : float
        Probability of a patient to be in a step; above 0, at most 1.
    steps : int
        Empty batches are steps too.
    """

    kind: ClassVar[str] = "sampled-gaussian"
    noise_multiplier: float
    sample_rate: float
    steps: int

    def __post_init__(self) -> None:
        noise, rate = self.noise_multiplier, self.sample_rate
        _require(LEAST_NOISE <= noise <= MOST_NOISE, f"a noise multiplier is from {LEAST_NOISE:g} to {MOST_NOISE:g}")
        _require(LEAST_RATE <= rate <= 1, f"a sample rate is from {LEAST_RATE:g} to 1")
        _require(_is_count(self.steps), f"steps are from 1 to {LARGEST_COUNT:,}")

    @property
    def times(self) -> int:
        """The steps."""
        return self.steps

    def once(self) -> SampledGaussian:
        """Return one step."""
        return replace(self, steps=1)

    @property
    def reach(self) -> float:
        """Largest loss of a step."""
        whole = _reach(self.noise_multiplier, 1)
        if whole > 500:  # where the exponential overflows, the others do not count
            return max(whole + math.log(self.sample_rate), 1.0)
        return math.log1p(self.sample_rate * math.expm1(whole))

    def event(self) -> DpEvent:
        """Return a step."""
        from dp_accounting import dp_event as dp

        return dp.PoissonSampledDpEvent(self.sample_rate, dp.GaussianDpEvent(self.noise_multiplier))


@dataclass(frozen=True)
class SampledRecords(Mechanism):
    """DP-SGD that samples and clips records, as it looks to a patient who has several of them.

    How many of a patient's records fall into a step is binomial, and so is what the patient contributes.
    Here for comparison: this project samples and clips patients, and no ledger holds one.

    Attributes
    ----------
    noise_multiplier, sample_rate, steps
        As in :class:`SampledGaussian`, of records.
    records : int
        Most records of a patient, 1 to 1000.
    """

    kind: ClassVar[str] = "sampled-records"
    noise_multiplier: float
    sample_rate: float
    steps: int
    records: int

    def __post_init__(self) -> None:
        SampledGaussian(self.noise_multiplier, self.sample_rate, self.steps)
        _require(_is_count(self.records) and self.records <= 1000, "records a patient are from 1 to 1000")

    @property
    def times(self) -> int:
        """The steps."""
        return self.steps

    def once(self) -> SampledRecords:
        """Return one step."""
        return replace(self, steps=1)

    @property
    def reach(self) -> float:
        """Largest loss of a step."""
        return _reach(self.noise_multiplier, self.records)

    def event(self) -> DpEvent:
        """Return dp-accounting's mixture of Gaussians, worst case over gradients of one direction."""
        from dp_accounting import dp_event as dp

        q, n = self.sample_rate, self.records
        counts = range(n + 1)
        weights = [math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in counts]
        whole = math.fsum(weights)
        return dp.MixtureOfGaussiansDpEvent(self.noise_multiplier, [*map(float, counts)], [w / whole for w in weights])


@dataclass(frozen=True)
class DiscreteLaplace(Mechanism):
    """Tables of counts with :func:`common.privacy.mechanisms.noised`, a patient in one cell of each.

    Attributes
    ----------
    epsilon : float
        Pure, of one table; above 0, at most 100.
    count : int
        How many tables.
    """

    kind: ClassVar[str] = "discrete-laplace"
    epsilon: float
    count: int = 1

    def __post_init__(self) -> None:
        _require(0 < self.epsilon <= 100, "epsilon is above 0 and at most 100")
        _require(_is_count(self.count), f"a count is from 1 to {LARGEST_COUNT:,}")

    @property
    def times(self) -> int:
        """The tables."""
        return self.count

    def once(self) -> DiscreteLaplace:
        """Return one table."""
        return replace(self, count=1)

    @property
    def reach(self) -> float:
        """The loss of every table."""
        return self.epsilon

    def event(self) -> DpEvent:
        """Return a table."""
        from dp_accounting import dp_event as dp

        return dp.DiscreteLaplaceDpEvent(self.epsilon, 1)


@dataclass(frozen=True)
class Unprotected(Mechanism):
    """A release without noise: no epsilon bounds it."""

    kind: ClassVar[str] = "unprotected"


_KINDS: dict[str, type[Mechanism]] = {each.kind: each for each in (SampledGaussian, DiscreteLaplace, Unprotected)}


def from_json(value: Mapping[str, Any]) -> Mechanism:
    """Read a mechanism back.

    Raises
    ------
    PrivacyError
        The kind is unknown, or the parameters are not exactly the kind's.
    """
    kind = _KINDS.get(value.get("kind", ""))
    parameters = {key: parameter for key, parameter in value.items() if key != "kind"}
    if kind is None or set(parameters) != {field.name for field in fields(kind)}:  # type: ignore[arg-type]
        raise PrivacyError("a mechanism in the privacy ledger is of no known kind, or lacks parameters")
    if not all(type(parameter) in (int, float) for parameter in parameters.values()):
        raise PrivacyError("a parameter of a mechanism in the privacy ledger is no number")
    return kind(**parameters)


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_COUNT


def _reach(noise: float, most: float) -> float:
    return most * (most + 2 * _DEVIATIONS * noise) / (2 * noise**2)


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise PrivacyError(rule)
