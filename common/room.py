"""What it means that there is no room to write."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from common.exceptions import DataError

FULL = "the disk is full"
FIX = "free some space, or name another folder in site.toml"
REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing raises where there is no room: on the disk, in the user's share of it, or for a file so long."""


@contextmanager
def enough_space(where: str) -> Iterator[None]:
    """Say what it means that something cannot be written for lack of room (DataError)."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        raise DataError(FULL, file=where, fix=FIX) from None
