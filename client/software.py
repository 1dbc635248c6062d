"""Versions of the software that a site runs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("fedward", "flwr", "numpy", "torch", "xgboost-cpu", "xgboost")


def versions() -> list[str]:
    """Versions a site reports, as "package==version"."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            continue
    return found
