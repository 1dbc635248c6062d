"""A data steward sees what was spent, on what, and what is left; nothing is written by looking."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import pytest

import client.__main__ as client_line
from client.budget.account import account, describe
from client.releasing import Releases
from common import command_line
from common.audit.log import AuditLog
from common.crypto import keys
from common.exceptions import PrivacyError
from common.plan import read
from common.privacy.accountant import epsilon, figure
from common.privacy.events import DiscreteLaplace, SampledGaussian, Unprotected
from common.privacy.ledger import Budget, Ledger
from common.serialization import digest

TRAINING = SampledGaussian(1.2, 0.02, 60)


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A site that was never asked anything."""
    text = 'name = "ward-1"\n[data]\nsource = "eicu"\nfolder = "x"\n[privacy]\nepsilon = 4.0\ndelta = 1e-5\n'
    (tmp_path / "site.toml").write_text(text)
    return tmp_path


@pytest.fixture
def used(kit: Path) -> Path:
    """The same with statistics, trees without noise, one round of training and an interrupted one."""
    (kit / "state").mkdir()
    ledger = Ledger(kit / "state" / "privacy.sqlite", "ward-1", Budget(4.0, 1e-5), clock=lambda: 1.78e9)
    with AuditLog(kit / "state" / "audit.sqlite", "ward-1") as audit:
        releases, plan = Releases(kit / "state" / "releases", ledger, audit, keys.temporary), read("demo")
        tables = [DiscreteLaplace(0.2), DiscreteLaplace(0.1, 3)]
        releases.noised(digest(b"1"), "first", plan, "statistics", tables, lambda: b"x", patients=900)
        releases.unprotected("first", plan, "boost")
        releases.noised(digest(b"2"), "second", plan, "round 1", [TRAINING], lambda: b"x", patients=900)
        with pytest.raises(KeyError):
            releases.noised(digest(b"3"), "second", plan, "round 2", [TRAINING], lambda: {}["x"], patients=900)
    return kit


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        command_line.run(client_line.app, ["budget", *arguments])
    found = capsys.readouterr()
    assert ended.value.code == 0, found.err
    return re.sub(r"\s+", " ", found.out)


def test_a_site_that_was_never_asked_has_all_left(kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "show", str(kit))
    assert "epsilon spent │ 0 " in text
    assert "epsilon left │ 4 of 4 " in text
    assert [file.name for file in kit.iterdir()] == ["site.toml"]


def test_show_tells_the_unit_delta_accountant_and_what_is_left(used: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "show", str(used))
    spent = epsilon([DiscreteLaplace(0.2), DiscreteLaplace(0.1, 3), TRAINING, TRAINING], 1e-5)
    assert f"epsilon spent │ {figure(spent)} " in text
    assert f"epsilon left │ {4 - spent:.3g} of 4 " in text
    for part in (
        "delta │ 1e-05",
        "one patient",
        "PLD, dp-accounting",
        "releases with noise │ 3",
        "1: no epsilon bounds",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("allowed", "told"),
    [("allow", "0; allowed"), ("evaluation", "0; only evaluations are allowed"), ("refuse", "0; refused")],
)
def test_show_tells_what_may_leave_without_noise(
    kit: Path, capsys: pytest.CaptureFixture[str], allowed: str, told: str
) -> None:
    with (kit / "site.toml").open("a") as settings:
        settings.write(f'unprotected = "{allowed}"\n')
    assert f"releases without noise │ {told} " in printed(capsys, "show", str(kit))


def test_history_lists_every_release(
    used: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = printed(capsys, "history", str(used), "--html", str(used / "budget.html"))
    page = (used / "budget.html").read_text()
    for shown in (text, page):
        for part in (
            "2026-05-28 20:26",
            "demo",
            "first",
            "second",
            "round 2",
            "no noise",
            "DP-SGD, 60 steps, 2 % of patients",
        ):
            assert part in shown, part
    assert text.count("(interrupted; counts)") == 1
    assert page.count('<td class="text">no</td>') == 1
    assert "http" not in re.sub(
        r'xmlns(:\w+)?="[^"]*"|<metadata>.*?</metadata>|<!DOCTYPE[^>]*>', "", page, flags=re.DOTALL
    )
    assert "budget 4" in page


def test_epsilon_so_far_is_the_composed_one(used: Path) -> None:
    read_ = account(used)
    mechanisms = [[DiscreteLaplace(0.2), DiscreteLaplace(0.1, 3)], [], [TRAINING], [TRAINING]]
    expected = [epsilon(sum(mechanisms[: k + 1], []), 1e-5) for k in range(4)]  # noqa: RUF017 - four short lists
    assert [line.after for line in read_.lines] == pytest.approx(expected, rel=1e-3)
    assert [line.stored for line in read_.lines] == [True, False, True, False]
    assert (read_.unprotected, read_.left) == (1, pytest.approx(4 - expected[-1], rel=1e-3))


def test_a_ledger_that_was_put_back_is_told(used: Path, tmp_path: Path) -> None:
    account(used)  # control
    for file in (used / "state").glob("privacy.sqlite*"):
        file.unlink()
    with pytest.raises(PrivacyError, match="put back"):
        account(used)
    shutil.rmtree(used / "state")


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (TRAINING, "DP-SGD, 60 steps, 2 % of patients each, noise 1.2"),
        (DiscreteLaplace(0.5, 40), "discrete Laplace, epsilon 0.5, 40 times"),
        (Unprotected(), "no noise"),
    ],
)
def test_mechanisms_in_words(one: object, words: str) -> None:
    assert describe(one) == words  # type: ignore[arg-type]


def test_an_epsilon_is_never_shown_smaller_than_it_is() -> None:
    assert [figure(value) for value in (0.0, 0.5, 0.50001, 1.2344, 30.0)] == ["0", "0.5", "0.501", "1.235", "30"]
    assert [figure(value) for value in (1234.5612, math.inf)] == ["1234.562", "infinity"]
