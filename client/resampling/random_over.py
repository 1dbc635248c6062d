"""Random oversampling: copies of the smaller class, drawn with replacement, up to parity.

Ranking does not gain by it and predicted risks come out several times too high:
recalibrate. Never together with differential privacy, a copied patient counts repeatedly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.resampling.base import Resampled, check_fold


def resample(features: NDArray[np.float32], labels: NDArray[np.int8], rng: np.random.Generator) -> Resampled:
    """Copy rows of the smaller class up to parity; see :class:`client.resampling.base.Resampler`."""
    from imblearn.over_sampling import RandomOverSampler

    check_fold(features, labels)
    sampler = RandomOverSampler(random_state=int(rng.integers(2**31)))
    sampler.fit_resample(np.arange(len(labels))[:, None], labels)  # chooses row numbers, so values stay untouched
    chosen = sampler.sample_indices_
    return Resampled(features[chosen], labels[chosen])
