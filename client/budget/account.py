"""A site's ledger, read for people: what was released, for which run, and what it cost together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from client.releasing import check
from client.settings import read
from common.audit.log import AuditLog
from common.privacy import accountant
from common.privacy.events import (
    DiscreteLaplace,
    Mechanism,
    SampledGaussian,
    Unprotected,
)
from common.privacy.ledger import Budget, Ledger


@dataclass(frozen=True)
class Line:
    """One release.

    Attributes
    ----------
    time : float
        When it was reserved, in seconds since the epoch.
    run, plan, purpose : str
    mechanism : str
        In words.
    unprotected : bool
    stored : bool
        Whether its bytes were made and kept; otherwise it counts all the same.
    after : float
        Epsilon of all noised releases up to this one.
    """

    time: float
    run: str
    plan: str
    purpose: str
    mechanism: str
    unprotected: bool
    stored: bool
    after: float


@dataclass(frozen=True)
class Account:
    """All releases of a site, oldest first, and what they are measured by."""

    site: str
    budget: Budget
    accountant: str
    allowed_unprotected: str
    lines: tuple[Line, ...]

    @property
    def spent(self) -> float:
        """Epsilon of all releases with noise."""
        return self.lines[-1].after if self.lines else 0.0

    @property
    def left(self) -> float | None:
        """Epsilon that remains; None without a budget."""
        return None if self.budget.epsilon is None else max(0.0, self.budget.epsilon - self.spent)

    @property
    def unprotected(self) -> int:
        """How many releases no epsilon bounds."""
        return sum(line.unprotected for line in self.lines)


def account(kit: Path) -> Account:
    """Read the ledger of a kit, and check it against the audit log; writes nothing.

    Raises
    ------
    ConfigurationError
        ``site.toml`` is wrong.
    PrivacyError
        The ledger was altered or put back.
    """
    settings = read(kit / "site.toml")
    budget, allowed = Budget(settings.privacy.epsilon, settings.privacy.delta), settings.privacy.unprotected
    ledger = ledger_of(kit)
    entries = ledger.entries() if ledger else ()
    reserved = [entry for entry in entries if entry.digest is None]
    stored = {entry.release for entry in entries if entry.digest is not None}
    after = accountant.running([entry.release.mechanisms for entry in reserved], budget.delta)
    lines = [
        Line(
            entry.time,
            entry.release.run,
            entry.release.plan,
            entry.release.purpose,
            "; ".join(map(describe, entry.release.mechanisms)),
            entry.release.unprotected,
            entry.release in stored,
            epsilon,
        )
        for entry, epsilon in zip(reserved, after, strict=True)
    ]
    return Account(settings.name, budget, accountant.name(), allowed, tuple(lines))


def ledger_of(kit: Path) -> Ledger | None:
    """Open the ledger of a kit, checked against the audit log; None before anything happened. Errors as above."""
    settings = read(kit / "site.toml")
    state, budget = kit / settings.state, Budget(settings.privacy.epsilon, settings.privacy.delta)
    if not (state / "audit.sqlite").is_file():
        return None
    ledger = Ledger(state / "privacy.sqlite", settings.name, budget)
    with AuditLog(state / "audit.sqlite", settings.name) as audit:
        check(ledger, audit)
    return ledger


def describe(one: Mechanism) -> str:
    """Say what a mechanism is.

    Examples
    --------
    >>> describe(DiscreteLaplace(0.1, 3))
    'discrete Laplace, epsilon 0.1, 3 times'
    """
    match one:
        case SampledGaussian(noise, rate, steps):
            return f"DP-SGD, {steps:,} steps, {100 * rate:.3g} % of patients each, noise {noise:.3g}"
        case DiscreteLaplace(epsilon, count):
            return f"discrete Laplace, epsilon {epsilon:.3g}{_times(count)}"
        case Unprotected():
            return "no noise"
        case _:
            return one.kind


def _times(count: int) -> str:
    return "" if count == 1 else f", {count:,} times"
