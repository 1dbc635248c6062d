"""On a full disk a site says what could not be written, where and what to do, and leaves nothing half written."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from client.handlers import statistics
from client.releasing import Releases
from client.training.store import ModelStore
from common.audit.log import AuditLog
from common.boosting.model import Model, ModelHeader
from common.clinical.variables import Layout, Variable
from common.crypto.folder import EncryptedFolder
from common.exceptions import DataError
from common.plan import Plan
from common.privacy.events import DiscreteLaplace
from common.privacy.ledger import Budget, Ledger
from common.serialization import digest
from tests.reading import KEY

HEADER = ModelHeader(0.25, ("age",))


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Let this process really write no more into a file, for a moment."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on nothing more goes to the disk but what SQLite writes, by itself."""

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return lambda: monkeypatch.setattr(os, "fsync", refuse)


def said(what: str, folder: Path) -> str:
    return f"^{what}: the disk is full; free some space for {folder}, or name another one in site.toml "


def test_a_received_model(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models", KEY)
    model = Model(HEADER).append([b'{"leaf":1}' * 20])
    with no_file_longer_than(64), pytest.raises(DataError, match=said("models", tmp_path / "models")):
        store.put(model, begins_with=HEADER.digest)
    assert list((tmp_path / "models").iterdir()) == []
    assert store.get(model.digest, HEADER) is None
    store.put(model, begins_with=HEADER.digest)
    assert ModelStore(tmp_path / "models", KEY).get(model.digest, HEADER) == model


def test_what_is_kept_encrypted(tmp_path: Path) -> None:
    folder = EncryptedFolder(tmp_path / "scores", KEY)
    with no_file_longer_than(64), pytest.raises(DataError, match=said("scores", tmp_path / "scores")):
        folder.write("a", b"x" * 100)
    assert folder.names() == []


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataError, match=said("scores", tmp_path / "scores")):
        EncryptedFolder(tmp_path / "scores", KEY)


def test_a_received_plan(ward: Any, plan: Plan, full: Callable[[], None]) -> None:
    state = ward.site.state
    full()
    with pytest.raises(DataError, match=said("runs", state)):
        ward.site.receive_plan("run-1", plan)
    assert list((state / "runs" / "run-1").iterdir()) == []


def test_the_edges_of_statistics(ward: Any, full: Callable[[], None]) -> None:
    asked, site = Layout((), (Variable("age", (0,), edges=(0.0, 50.0, 100.0), continuous=True),)), ward.site
    full()
    with pytest.raises(DataError, match=said("statistics", site.state / "statistics")):
        statistics._bind(site, asked)
    assert list((site.state / "statistics").iterdir()) == []


def test_what_was_noised(tmp_path: Path, plan: Plan, full: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path / "privacy.sqlite", "ward-1", Budget(1.0, 1e-6))
    releases = Releases(tmp_path / "releases", ledger, AuditLog(tmp_path / "audit.sqlite", "ward-1"), lambda: KEY)

    def release(question: bytes) -> bytes:
        name, mechanisms = digest(question), [DiscreteLaplace(0.2)]
        return releases.noised(name, "run-1", plan, "statistics", mechanisms, lambda: b"noise", patients=900)

    release(b"one")
    full()
    with pytest.raises(DataError, match=said("releases", tmp_path / "releases")):
        release(b"two")
    assert [file.name for file in (tmp_path / "releases").iterdir()] == [digest(b"one")]
    monkeypatch.undo()
    assert release(b"two") == b"noise"


def test_which_way_is_the_fastest(tmp_path: Path, full: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")
    from client.features import runtimes

    monkeypatch.setattr(runtimes, "candidates", lambda *_: {})
    encoder, batch = torch.nn.Linear(2, 2), (torch.zeros(1, 2),)
    full()
    with pytest.raises(DataError, match=said("runtimes.json", tmp_path)):
        runtimes.Runtimes(tmp_path / "runtimes.json").fastest(encoder, "digest", batch, torch.device("cpu"), 10**12)
    assert list(tmp_path.iterdir()) == []
