"""Privacy losses on a grid, composed by Fourier transforms within bounded memory and work.

What one application of a mechanism may cost comes from dp-accounting: a distribution over multiples of a step, rounded
so that no epsilon comes out too small (Doroshenko et al., PoPETs 2022). Composition is convolution (Koskela, Jälkö and
Honkela, AISTATS 2020), on a circle that is wide enough for all but :data:`TAIL` of it; that, and what floating point
may get wrong (:data:`ROUNDING`), counts as an infinite loss. Where a step asks for more cells than may be had, a
coarser one is taken. Both tell epsilon too high, and never too low.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.exceptions import PrivacyError
from common.privacy.events import Mechanism

if TYPE_CHECKING:
    from dp_accounting import DpEvent

MOST_CELLS = 2**19
"""Of a distribution, 4 MB."""
MOST_OF_SINGLE = 2**21
"""Of those of single applications together."""
MOST_TRANSFORMED = 2**26
"""Of all that are transformed."""
TAIL = 1e-15
"""Probability that is taken for an infinite loss, rather than to be kept apart."""
ROUNDING = 2.0**-51
"""Of an application: by how much floating point may tell a delta too small, several times over. It is added to it."""
_SPECTRA = 8
"""Most that are kept."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Losses:
    """Loss of one application, seen from one of two neighbours.

    Attributes
    ----------
    first : int
        The smallest loss, in steps.
    weights : (n,) float64
        Probabilities of it and the next ones.
    infinite : float
        Of an infinite loss.
    """

    first: int
    weights: Vector
    infinite: float

    @cached_property
    def mean(self) -> float:
        """In steps."""
        return self.first + float(np.arange(len(self.weights)) @ self.weights) / float(self.weights.sum())

    def cumulants(self, orders: Vector) -> Vector:
        """Logarithm of the mean of exp(order times the loss less its mean), for orders a step."""
        away = np.arange(len(self.weights)) + (self.first - self.mean)
        ends = np.where(orders > 0, orders * away[-1], orders * away[0])
        inner = [np.log(np.exp(order * away - end) @ self.weights) for order, end in zip(orders, ends, strict=True)]
        return np.asarray(ends + np.array(inner), np.float64)


class Composition:
    """Mechanisms, each a number of times, on one circle on which all of them together fit.

    Parameters
    ----------
    whole : mapping of Mechanism to int
        Single applications, and how many at most.
    step : float
        Wanted.
    transforms : int
        How many distributions will be made.

    Attributes
    ----------
    cells : int
        Of the circle.
    step : float
        That is used.
    """

    def __init__(self, whole: Mapping[Mechanism, int], step: float, transforms: int) -> None:
        most = max(64, min(MOST_CELLS, MOST_TRANSFORMED // transforms))
        reaches = [one.reach for one in whole]
        coarsest = max(1.0, *reaches)  # beyond it all losses are within a step, and ask for as many cells
        self.step = max(step, 2 * max(reaches) / MOST_CELLS, 2 * sum(reaches) / MOST_OF_SINGLE)
        while True:
            self._sides = {one: _sides(one.event(), self.step) for one in whole}
            widths = [self._width(whole, side) for side in (0, 1)]
            needed = sum(max(ends) for ends in zip(*widths, strict=True))
            if needed <= most or self.step >= coarsest:
                break
            self.step = min(coarsest, self.step * 1.1 * max(1.0, needed / most))
        from scipy.fft import next_fast_len

        self.cells = int(next_fast_len(int(needed) + 2, real=True))
        self._below = max(below for below, _ in widths)
        self._spectrum = lru_cache(_SPECTRA)(self._transformed)

    def running(self, releases: Iterable[Mapping[Mechanism, int]], delta: float) -> Iterator[float]:
        """Epsilon after each of some releases, which make up no more than the whole."""
        symmetric = all(first is second for first, second in self._sides.values())
        sides = [_Product(self.cells) for _ in range(1 if symmetric else 2)]
        for release in releases:
            for side, product in enumerate(sides):
                for one, times in release.items():
                    product.join(self._sides[one][side], self._spectrum(one, times, side), times)
            yield max(product.epsilon(self._below, self.step, delta) for product in sides)

    def _transformed(self, one: Mechanism, times: int, side: int) -> NDArray[np.complex128]:
        """Put the mean next to zero: powers of what turns slowly stay exact."""
        from scipy.fft import rfft

        losses = self._sides[one][side]
        places = (np.arange(len(losses.weights)) + losses.first - round(losses.mean)) % self.cells
        found: NDArray[np.complex128] = rfft(np.bincount(places, losses.weights, self.cells)) ** times
        return found

    def _width(self, whole: Mapping[Mechanism, int], side: int) -> tuple[float, float]:
        """How far below and above its mean the whole reaches, in steps, but for half a tail each (Chernoff's bound)."""
        needed = math.log(2 / TAIL)
        each = [(self._sides[one][side], times) for one, times in whole.items()]
        spread = math.sqrt(sum(times * _variance(losses) for losses, times in each))
        longest = max(len(losses.weights) for losses, _ in each)
        normal = math.sqrt(2 * needed) / max(spread, 1e-3)  # the best order, were the whole normal
        rare = needed / longest  # the best, were it a large loss that hardly ever happens
        orders = np.geomspace(min(normal / 32, rare / 8), max(2 * normal, 4 * rare), 28)
        ends = []
        for sign in (-1, 1):
            grown = sum((times * losses.cumulants(sign * orders) for losses, times in each), np.zeros(len(orders)))
            ends.append(float(np.min((grown + needed) / orders)))
        return ends[0], ends[1]


class _Product:
    """Losses that were composed so far, on a circle of so many cells, as its Fourier transform."""

    def __init__(self, cells: int) -> None:
        self._cells, self._spectrum = cells, np.ones(cells // 2 + 1, np.complex128)
        self._shift, self._mean, self._certain, self._times = 0, 0.0, 0.0, 0

    def join(self, losses: Losses, spectrum: NDArray[np.complex128], times: int) -> None:
        self._spectrum *= spectrum
        self._shift += times * round(losses.mean)
        self._mean += times * losses.mean
        self._certain += times * math.log1p(-losses.infinite)
        self._times += times

    def epsilon(self, below: float, step: float, delta: float) -> float:
        from scipy.fft import irfft

        lowest = math.floor(self._mean - below)
        weights = np.roll(irfft(self._spectrum, self._cells), (self._shift - lowest) % self._cells)
        beyond = TAIL + self._times * ROUNDING - math.expm1(self._certain)
        return _epsilon(np.maximum(weights, 0.0), lowest, step, beyond, delta)


def _variance(losses: Losses) -> float:
    away = np.arange(len(losses.weights)) + (losses.first - losses.mean)
    return float(away**2 @ losses.weights)


def _sides(event: DpEvent, step: float) -> tuple[Losses, Losses]:
    """Losses with a patient more, and with one less; the same object where they are the same."""
    from dp_accounting import dp_event as dp
    from dp_accounting.pld import privacy_loss_distribution as pld

    match event:
        case dp.PoissonSampledDpEvent(sampling_probability=rate, event=dp.GaussianDpEvent(noise_multiplier=noise)):
            found = pld.from_gaussian_mechanism(noise, value_discretization_interval=step, sampling_prob=rate)
        case dp.DiscreteLaplaceDpEvent(noise_parameter=parameter, sensitivity=sensitivity):
            found = pld.from_discrete_laplace_mechanism(parameter, sensitivity, value_discretization_interval=step)
        case dp.MixtureOfGaussiansDpEvent(standard_deviation=deviation, sensitivities=most, sampling_probs=rates):
            found = pld.from_mixture_gaussian_mechanism(deviation, most, rates, value_discretization_interval=step)
        case _:
            raise PrivacyError(f"there are no losses of {type(event).__name__}")
    first = _dense(found._pmf_remove)  # what dp-accounting computes and does not show
    return first, first if found._pmf_add is found._pmf_remove else _dense(found._pmf_add)


def _dense(found: Any) -> Losses:
    dense = found.to_dense_pmf()
    there = np.flatnonzero(dense._probs > 0)
    weights = np.maximum(dense._probs[there[0] : there[-1] + 1], 0.0)
    return Losses(int(dense._lower_loss + there[0]), weights, float(dense._infinity_mass))


def _epsilon(weights: Vector, lowest: int, step: float, infinite: float, delta: float) -> float:
    """Smallest epsilon, from 0, at which the hockey-stick divergence is at most delta.

    From the largest loss downwards: of all larger ones the sum of the probabilities, and that under the neighbour, in
    units of exp(loss), so that neither overflows.
    """
    from scipy.signal import lfilter

    if infinite > delta:
        return math.inf
    weights, lowest = weights[max(0, -lowest) :], max(0, lowest)  # an epsilon is never below 0
    falling = weights[::-1]
    shrunk = math.exp(-step)
    above = infinite + np.cumsum(falling) - falling
    other = lfilter([0.0, shrunk], [1.0, -shrunk], falling)
    over = np.flatnonzero(above - other > delta)
    if not len(over):
        return lowest * step
    loss = (lowest + len(weights) - 1 - over[0]) * step
    return float(loss + math.log((above[over[0]] - delta) / other[over[0]]))
