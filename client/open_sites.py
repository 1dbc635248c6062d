"""The sites that are open in this process: one object a settings file, until the file changes."""

from __future__ import annotations

import atexit
import threading
from pathlib import Path

from client.site import Site

_open: dict[Path, tuple[int, Site]] = {}
_open_lock = threading.Lock()


def open_site(file: Path) -> Site:
    """Return the site of a settings file; the same object until the file changes.

    The one it replaces is closed, once no other thread is at work in it.
    """
    changed = file.stat().st_mtime_ns if file.exists() else 0
    with _open_lock:
        known = _open.get(file)
        if known and known[0] == changed:
            return known[1]
        site = Site(file)
        _open[file] = changed, site
    if known:
        with known[1].lock:
            known[1].close()
    return site


def close_sites() -> None:
    """Forget every open site of this process."""
    with _open_lock:
        for _, site in _open.values():
            site.close()
        _open.clear()


atexit.register(close_sites)  # so that the audit log is one file again
