"""SCAFFOLD's control variates: by hand, over sites that come and go, and to the optimum that the shares name."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strategies import base
from strategies.weights.update import Trained, Update

OPTIONS = base.options("scaffold", {})
SCAFFOLD = base.find_for_weights("scaffold")


def number(value: float) -> np.ndarray:
    return np.array([value], np.float32)


def aggregated(updates, state=None, current=None, **options: float):
    trained = Trained(current or {"w": number(1.0)}, updates, state or {})
    return SCAFFOLD.aggregate(trained, base.options("scaffold", options))


def test_by_hand():
    """Shares 1 and 3: c is the mean of 2 and 6; then the second site's goes up by 4, and a third of share 4 joins."""
    first = {
        "alder": Update(1.0, {"w": number(8)}, {"w": number(2)}),
        "birch": Update(3.0, {"w": number(4)}, {"w": number(6)}),
    }
    weights, state = aggregated(first, server_rate=0.5)
    np.testing.assert_allclose(weights["w"], 1 + 0.5 * (8 + 3 * 4) / 4)
    np.testing.assert_allclose(state["w"], (2 + 3 * 6) / 4)
    second = {
        "birch": Update(3.0, {"w": number(0)}, {"w": number(4)}, first=False),
        "cedar": Update(4.0, {"w": number(0)}, {"w": number(-1)}),
    }
    _, state = aggregated(second, state)
    np.testing.assert_allclose(state["w"], (2 + 3 * 10 - 4) / 8)


ROUNDS = st.lists(st.sets(st.sampled_from(["alder", "birch", "cedar"]), min_size=1), min_size=1, max_size=6)


@given(rounds=ROUNDS, seed=st.integers(0, 1000))
def test_c_is_the_mean_of_the_variates_of_those_who_have_a_module_whoever_is_away(rounds, seed):
    rng, shares = np.random.default_rng(seed), {"alder": 10.0, "birch": 70.0, "cedar": 300.0}
    modules = {"alder": ("head", "films"), "birch": ("head", "films"), "cedar": ("head",)}
    current, state = {"head": number(0), "films": number(0)}, {}
    variates: dict[str, dict[str, float]] = {}
    for present in rounds:
        updates = {}
        for site in present:
            known, drift = variates.get(site), {name: rng.normal() for name in modules[site]}
            change = {name: number(value) for name, value in drift.items()}
            updates[site] = Update(shares[site], change, change, first=known is None)
            variates[site] = {name: (known or {}).get(name, 0.0) + value for name, value in drift.items()}
        _, state = aggregated(updates, state, current)
    for name in current:
        having = [site for site in variates if name in variates[site]]
        if having:
            expected = np.average([variates[site][name] for site in having], weights=[shares[site] for site in having])
            np.testing.assert_allclose(state[name], expected, atol=1e-5)


def quadratic(counted: bool, rounds: int = 400) -> float:
    """Train sites whose losses are (x - target)^2 / 2, one of whose answers is lost every third round.

    With ``counted`` a site goes on from the variate of its last answer that was used.
    """
    targets, shares = {"alder": 0.0, "birch": 4.0, "cedar": 10.0}, {"alder": 1.0, "birch": 2.0, "cedar": 5.0}
    rate, steps, weights, state = 0.1, 5, {"w": number(1.0)}, {}
    variates, heard = dict.fromkeys(targets, 0.0), set()
    for round_ in range(rounds):
        x, c = float(weights["w"][0]), float(state.get("w", number(0.0))[0])
        updates = {}
        for site, target in targets.items():
            y = x
            for _ in range(steps):
                y -= rate * (y - target - variates[site] + c)
            new = variates[site] - c + (x - y) / (steps * rate)
            lost = site == "cedar" and round_ < 60 and round_ % 3 == 1
            if not lost:
                drift = number(new - variates[site])
                updates[site] = Update(shares[site], {"w": number(y - x)}, {"w": drift}, first=site not in heard)
                heard.add(site)
            if not (lost and counted):
                variates[site] = new
        weights, state = aggregated(updates, state, weights)
    return float(weights["w"][0])


def test_it_ends_where_the_shares_say_also_when_answers_are_lost():
    """The least of the weighted sum of losses is at the weighted mean of the targets."""
    optimum = (0 * 1 + 4 * 2 + 10 * 5) / 8
    assert abs(quadratic(counted=True) - optimum) < 1e-3
    assert abs(quadratic(counted=False) - optimum) > 0.05, "the control: a lost answer moves it for good"
