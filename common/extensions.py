"""Extensions by file name: what lies beside a package's ``base.py`` is registered under its own name.

Shared code of extensions lives in sub-packages, so that no plan can load it by name.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from common.exceptions import FedwardError


def names(base_file: str) -> tuple[str, ...]:
    """List the extensions beside a ``base.py``, sorted.

    Parameters
    ----------
    base_file : str
        ``__file__`` of that ``base.py``.
    """
    found = pkgutil.iter_modules([str(Path(base_file).parent)])
    return tuple(sorted(module.name for module in found if module.name != "base" and not module.ispkg))


def load(base_file: str, package: str, name: str, *, kind: str, error: type[FedwardError]) -> ModuleType:
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
    """
    known = names(base_file)
    if name not in known:
        raise error(f"unknown {kind} '{name}'; known: {', '.join(known)}")
    return importlib.import_module(f"{package}.{name}")
