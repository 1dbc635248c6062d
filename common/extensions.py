"""Extensions by file name: what lies beside a package's ``base.py`` is registered under its own name.

Shared code of extensions lives in sub-packages, so that no plan can load it by name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

from common.exceptions import FedwardError


def names(base_file: str, besides: Collection[str] = ()) -> tuple[str, ...]:
    """List the extensions beside a ``base.py``, sorted.

    Parameters
    ----------
    base_file : str
        ``__file__`` of that ``base.py``.
    besides : collection of str
        Modules that lie there and are no extensions either.
    """
    found = pkgutil.iter_modules([str(Path(base_file).parent)])
    return tuple(sorted(module.name for module in found if module.name not in {"base", *besides} and not module.ispkg))


def load(
    base_file: str,
    package: str,
    name: str,
    *,
    kind: str,
    error: type[FedwardError],
    besides: Collection[str] = (),
) -> ModuleType:
    """Import the extension of that name.

    Parameters
    ----------
    base_file : str
        ``__file__`` of the package's ``base.py``.
    package : str
        Name of the package.
    name : str
        As a plan or a settings file gives it: it is looked up, never imported unseen.
    kind : str
        What it is, for the error.
    error : type
        What to raise when there is none of that name; the text lists the known ones.
    besides : collection of str
        As in :func:`names`.
    """
    known = names(base_file, besides)
    if name not in known:
        raise error(f"unknown {kind} '{name}'; known: {', '.join(known)}")
    return importlib.import_module(f"{package}.{name}")
