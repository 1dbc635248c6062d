"""Noise is normal, of the size asked for, independent, and no seed brings it back."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from scipy import stats

from client.training import entropy
from client.training.entropy import normal, poisson_sample, uniform


def keyed(key: bytes) -> Any:
    return lambda count: key[:count]


def test_uniform_numbers_are_the_key_stream() -> None:
    stream = Cipher(algorithms.ChaCha20(b"k" * 32, bytes(16)), mode=None).encryptor().update(bytes(32))
    expected = [(int.from_bytes(stream[8 * k : 8 * k + 8], "little") >> 11) / 2**53 for k in range(4)]
    assert uniform(4, keyed(b"k" * 32)).tolist() == expected


def test_numbers_are_uniform_and_below_one() -> None:
    drawn = uniform(200_000)
    assert 0 <= drawn.min() < drawn.max() < 1
    assert stats.kstest(drawn, "uniform").pvalue > 0.001


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100_001])
def test_normal_numbers(count: int) -> None:
    drawn = normal(count)
    assert (drawn.shape, drawn.dtype) == ((count,), np.float64)
    assert np.isfinite(drawn).all()
    if count > 1000:
        assert drawn.std() == pytest.approx(1, rel=0.03)
        assert stats.kstest(drawn, "norm").pvalue > 0.001
        halves = drawn[: count // 2], drawn[count - count // 2 :]
        assert abs(stats.pearsonr(*halves).statistic) < 5 / np.sqrt(count // 2)  # the two of each pair


def test_draws_are_independent_and_no_seed_repeats_them() -> None:
    """The generators that training seeds are set alike before each draw, as two sites or two rounds would."""
    draws = []
    for _ in range(2):
        random.seed(7)
        np.random.seed(7)
        torch.manual_seed(7)
        draws.append(normal(50_000))
    assert abs(stats.pearsonr(*draws).statistic) < 5 / np.sqrt(50_000)
    assert not set(draws[0]) & set(draws[1])


def test_a_child_process_draws_something_else() -> None:
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.write(writer, normal(4).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 32) != normal(4).tobytes()


def test_patients_are_sampled_one_by_one() -> None:
    sizes = np.array([len(poisson_sample(500, 0.1)) for _ in range(2000)])
    assert sizes.mean() == pytest.approx(50, rel=0.03)
    assert sizes.var() == pytest.approx(45, rel=0.2)  # a shuffled batch would have no variance
    assert poisson_sample(5, 1.0).tolist() == [0, 1, 2, 3, 4]
    assert poisson_sample(0, 0.5).tolist() == []
    assert any(len(poisson_sample(10, 0.01)) == 0 for _ in range(20))


def test_a_key_serves_one_draw() -> None:
    asked: list[int] = []

    def counted(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    normal(10, counted)
    poisson_sample(10, 0.5, counted)
    assert asked == [32, 32]
    with pytest.raises(ValueError, match="at most"):
        uniform(entropy.LARGEST + 1, counted)
