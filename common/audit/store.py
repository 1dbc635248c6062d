"""The SQLite file an audit log lives in: its layout, how it is created and how it is opened.

The triggers keep honest programs from changing entries; whoever can write the file can drop
them. The hash chain and the heads that others hold (``common.audit.verify``) expose that.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

from common.exceptions import AuditError

APPLICATION_ID = 0x46574C47
"""Marks an SQLite file as an audit log ("FWLG")."""
FORMAT = 1
LOCK_TIMEOUT = 30.0
"""Seconds to wait for another writer."""
SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA user_version = {FORMAT};
CREATE TABLE log (owner TEXT NOT NULL);
CREATE TABLE entries (
    sequence INTEGER PRIMARY KEY,
    previous TEXT NOT NULL,  -- hash of the entry before; tells the verifier which of two neighbours was replaced
    content TEXT NOT NULL,   -- canonical JSON, exactly the bytes that are hashed
    hash TEXT NOT NULL
);
CREATE INDEX witnessed ON entries (json_extract(content, '$.details.party'), sequence)
    WHERE json_extract(content, '$.kind') = 'head_witnessed';
CREATE TRIGGER no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- INSERT OR REPLACE deletes without firing the trigger above: only the next sequence may be inserted.
CREATE TRIGGER no_replace BEFORE INSERT ON entries
    WHEN NEW.sequence IS NOT (SELECT COALESCE(MAX(sequence), 0) + 1 FROM entries)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
"""


def create(path: Path, owner: str, application: int = APPLICATION_ID) -> None:
    """Create an empty log with mode 0600, complete or not at all; ``application`` marks another chain of entries.

    The file is made under another name and then linked to its own, so nobody ever sees half
    a log, and of several processes doing this at once exactly one wins.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        with closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA application_id = {application:d}")
            connection.execute("INSERT INTO log VALUES (?)", (owner,))
        with suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def connect(path: Path, mode: Literal["rw", "ro"]) -> sqlite3.Connection:
    """Open an existing file; texts come back as bytes, so that no stored value can fail to decode."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    if mode == "ro" and not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
        # Even a reader of a WAL database needs to create files beside it, unless told that nobody writes.
        uri += "&immutable=1"
    connection = sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
    connection.text_factory = bytes
    connection.execute("PRAGMA cache_size = -64")  # KiB; a log is appended to, and one process may hold thousands
    return connection


def read_owner(connection: sqlite3.Connection, application: int = APPLICATION_ID) -> str:
    """Name of the party whose log this file says it is.

    Raises
    ------
    AuditError
        When the file is another kind of database, or of another format version.
    """
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (found, version) != (application, FORMAT):
        raise AuditError(f"the file is no audit log (or ledger, where that was meant) of format {FORMAT}")
    owners = connection.execute("SELECT owner FROM log").fetchall()
    if len(owners) != 1 or not isinstance(owners[0][0], bytes):
        raise AuditError("the audit log does not name one owner")
    return str(owners[0][0], errors="backslashreplace")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system raise into an AuditError that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise AuditError(
            f"the audit log {path} cannot be read or written ({error}), and what is not logged must not happen; "
            "check the disk's free space, the file's permissions and whether the log verifies"
        ) from error
