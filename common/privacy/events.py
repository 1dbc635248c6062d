"""What a release did to the privacy of a patient: the mechanism, never an epsilon.

An epsilon is a statement about everything that was released together; mechanisms can be composed again
whenever another one joins them. Each is one of dp-accounting's events, under which a data set's neighbour has
one patient more or less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from common.exceptions import PrivacyError

if TYPE_CHECKING:
    from dp_accounting import DpEvent

LARGEST_COUNT = 10**9


class Mechanism:
    """Base of the mechanisms: frozen, hashable, with one canonical JSON form."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, str | float]:
        """Kind and parameters; :func:`from_json` reads them."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]

    def event(self) -> DpEvent:
        """Return dp-accounting's event."""
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
        _require(0 < self.noise_multiplier < math.inf, "a noise multiplier is above 0")
        _require(0 < self.sample_rate <= 1, "a sample rate is above 0 and at most 1")
        _require(_is_count(self.steps), f"steps are from 1 to {LARGEST_COUNT}")

    def event(self) -> DpEvent:
        """Return the composition of all steps."""
        from dp_accounting import dp_event as dp

        step = dp.PoissonSampledDpEvent(self.sample_rate, dp.GaussianDpEvent(self.noise_multiplier))
        return dp.SelfComposedDpEvent(step, self.steps)


@dataclass(frozen=True)
class SampledRecords(Mechanism):
    """DP-SGD that samples and clips records, as it looks to a patient who has several of them.

    How many of a patient's records fall into a step is binomial, and so is what the patient contributes.
    Here for comparison: this project samples and clips patients.

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

    def event(self) -> DpEvent:
        """Return dp-accounting's mixture of Gaussians, worst case over gradients of one direction."""
        from dp_accounting import dp_event as dp

        q, n = self.sample_rate, self.records
        counts = range(n + 1)
        weights = [math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in counts]
        whole = math.fsum(weights)
        step = dp.MixtureOfGaussiansDpEvent(self.noise_multiplier, [*map(float, counts)], [w / whole for w in weights])
        return dp.SelfComposedDpEvent(step, self.steps)


@dataclass(frozen=True)
class Gaussian(Mechanism):
    """Sums over all patients with Gaussian noise, ``count`` of them; parameters as in :class:`SampledGaussian`."""

    kind: ClassVar[str] = "gaussian"
    noise_multiplier: float
    count: int = 1

    def __post_init__(self) -> None:
        SampledGaussian(self.noise_multiplier, 1.0, self.count)

    def event(self) -> DpEvent:
        """Return the composition of all sums."""
        from dp_accounting import dp_event as dp

        return dp.SelfComposedDpEvent(dp.GaussianDpEvent(self.noise_multiplier), self.count)


@dataclass(frozen=True)
class DiscreteLaplace(Mechanism):
    """Tables of counts with :func:`common.privacy.mechanisms.noised`, a patient in one cell of each.

    Attributes
    ----------
    epsilon : float
        Pure, of one table; above 0, at most 1000.
    count : int
        How many tables.
    """

    kind: ClassVar[str] = "discrete-laplace"
    epsilon: float
    count: int = 1

    def __post_init__(self) -> None:
        _require(0 < self.epsilon <= 1000, "epsilon is above 0 and at most 1000")
        _require(_is_count(self.count), f"a count is from 1 to {LARGEST_COUNT}")

    def event(self) -> DpEvent:
        """Return the composition of all tables."""
        from dp_accounting import dp_event as dp

        return dp.SelfComposedDpEvent(dp.DiscreteLaplaceDpEvent(self.epsilon, 1), self.count)


@dataclass(frozen=True)
class Unprotected(Mechanism):
    """A release without noise: no epsilon bounds it."""

    kind: ClassVar[str] = "unprotected"


_KINDS: dict[str, type[Mechanism]] = {
    each.kind: each for each in (SampledGaussian, SampledRecords, Gaussian, DiscreteLaplace, Unprotected)
}


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


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise PrivacyError(rule)
