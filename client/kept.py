"""Bytes that a site keeps under names, encrypted: weights it will be asked about again, scores of held-out patients.

Each can be sent or computed again, so that a file that cannot be read counts as absent.
"""

from __future__ import annotations

from pathlib import Path

from common.crypto.at_rest import SiteKey
from common.crypto.folder import EncryptedFolder
from common.exceptions import EncryptionError

UNUSED_SECONDS = 30 * 24 * 3600.0
"""What nobody read or wrote for so long belongs to a run that is over, or that can wait for it."""


class Kept:
    """A folder of encrypted files.

    Parameters
    ----------
    folder : Path
        Created when missing.
    key : SiteKey
    now : float
        Seconds since the epoch; what has been unused for :data:`UNUSED_SECONDS` goes.
    """

    def __init__(self, folder: Path, key: SiteKey, now: float) -> None:
        self._files = EncryptedFolder(folder, key)
        self._files.remove_unused(now, UNUSED_SECONDS)

    def put(self, name: str, content: bytes) -> None:
        """Keep bytes under a name, in place of what was there (DataError when the disk is full)."""
        self._files.write(name, content)

    def get(self, name: str) -> bytes | None:
        """Return the bytes of a name, None when there are none or they cannot be opened."""
        try:
            return self._files.read(name)
        except (OSError, EncryptionError):
            return None
