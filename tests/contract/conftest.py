"""How a data source brings an example of itself to the contract.

``test_datasets*.py`` hold every module of ``client/datasets`` to the same promises, on a tiny folder
in the source's own layout. A new source adds one file, ``examples/<source>.py``, with

``PEOPLE`` : int
    How many people :func:`write` writes; 6 to 40. Where the source tells people from stays, one of them
    at least has more than one admission, stay or film. Every part in the source's ``PARTS`` occurs, and
    some times are unknown where the source allows that.
``IDENTIFIERS`` : tuple of str
    Texts in the folder (cells, file names, references) that tell people, admissions, stays or films
    apart, or parts of them that they all have ("SYN-1-"). None may turn up in a ``repr`` or an error.
    Invent distinctive ones of four or more characters: "person-0007", 10000777, "patient00042".
``write(folder: Path) -> None``
    Fill an empty folder that exists. Invented values only; the same bytes every time. Each way in
    ``DIVISIONS`` divides it into two sites at least. No SYNTHETIC.json is needed.
``alter(folder: Path) -> None``
    Change one value in a file that is always read, so that the folder stays well-formed and, where the
    file is not compressed, as long as before.
``grow(folder: Path) -> None``
    Add one person with new identifiers, like the others.

See ``examples/eicu.py``. The file is loaded by path: it imports product code and ``simulations`` only.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from client.cohorts import loading
from client.datasets.base import ALL, Dataset, Select, find, names
from common.clinical.records import Records
from common.tasks import base as tasks
from tests.contract.people import whole
from tests.reading import cache_in

pytest.register_assert_rewrite("tests.contract.checking")
EXAMPLES = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Source:
    """A data source with its example; ``folder`` is shared by the tests and stays as written."""

    name: str
    dataset: Dataset
    example: ModuleType
    folder: Path


@pytest.fixture(scope="session", params=names())
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Return each registered source in turn; one without an example fails."""
    file = EXAMPLES / f"{request.param}.py"
    if not file.is_file():
        pytest.fail(
            f"tests/contract/examples/{request.param}.py is missing; tests/contract/conftest.py tells what it is"
        )
    spec = importlib.util.spec_from_file_location(f"example_of_{request.param}", file)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    folder = tmp_path_factory.mktemp(request.param)
    example.write(folder)
    return Source(request.param, find(request.param), example, folder)


@pytest.fixture
def copy(source: Source, tmp_path: Path) -> Path:
    """A copy of the example to change."""
    return Path(shutil.copytree(source.folder, tmp_path / "copy"))


@pytest.fixture
def read(source: Source, tmp_path: Path) -> Callable[..., Records]:
    """Read a folder, by default all of the example; the cache is kept within a test."""

    def read_(folder: Path = source.folder, select: Select = ALL, **changes: Any) -> Records:
        return loading.read(
            source.name, folder, select, changes.get("parts", source.dataset.PARTS), changes.get("cache", cache)
        )

    cache = cache_in(tmp_path / "cache")
    return read_


@pytest.fixture(scope="module")
def records() -> Records:
    """Return people of whom everything is told."""
    return whole()


@pytest.fixture(params=tasks.names())
def task(request: pytest.FixtureRequest) -> tasks.Task:
    """Return each task in turn."""
    return tasks.find(request.param)
