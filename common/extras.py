"""Which extra of the project brings a package that not everybody needs, and what is said where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from common.exceptions import ConfigurationError

_EXTRA_OF = {"torch": "encoders", "opacus": "encoders", "safetensors": "encoders", "mlflow": "tracking"}


@contextmanager
def required() -> Iterator[None]:
    """Say of a package that cannot be imported which extra brings it; one that none brings is a defect, and stays one.

    Raises
    ------
    ConfigurationError
        The extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in _EXTRA_OF:
            refuse(package)
        raise


def refuse(package: str) -> NoReturn:
    """Say that a package is missing, to other parties, too (ConfigurationError)."""
    extra = _EXTRA_OF[package]
    raise ConfigurationError(
        f"this needs {package}, which the extra '{extra}' brings: pip install -e '.[{extra}]'",
        public=f"this needs {package}, and the extra '{extra}' that brings it is not installed at this site",
    )
