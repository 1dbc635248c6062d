"""What it means that there is no room to write."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.exceptions import DataError

REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing raises where there is no room: on the disk, in the user's share of it, or for a file so long."""
INSTEAD = "name another one in site.toml (of temporary files, by TMPDIR)"


@contextmanager
def enough_space(what: str, folder: Path, *, instead: str = INSTEAD) -> Iterator[None]:
    """Say what it means that something cannot be written into a folder for lack of room (DataError).

    Parameters
    ----------
    what : str
        Such as "features"; other parties may read it, the folder not.
    folder : Path
    instead : str, optional
        What can be done besides freeing space.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        raise DataError("the disk is full", file=what, fix=f"free some space for {folder}, or {instead}") from None


def refused(told: str) -> OSError | None:
    """Return the lack of room that a library speaks of, without its words, which may quote what was to be written."""
    return next((OSError(code, os.strerror(code)) for code in REFUSED if os.strerror(code) in told), None)
