"""A site's own records as FHIR R4; audited before a file is written."""

from __future__ import annotations

from pathlib import Path

from client.cohorts.loading import read as read_records
from client.datasets.base import Select, find
from client.datasets.reading.cache import Cache
from client.exporting.fhir import Exported, export, require_free
from client.exporting.pseudonyms import key_of
from client.keyring import Ask, at_work, open_key
from client.settings import read
from common.audit.event import Event, Kind
from common.audit.log import AuditLog


def export_site(folder: Path, to: Path, *, notes: bool, ask: Ask | None = None) -> Exported:
    """Export what a kit's ``site.toml`` says is the site's.

    Parameters
    ----------
    folder : Path
        The site's folder; its state keeps the key of the pseudonyms.
    to : Path
        Empty, or created.
    notes : bool
        Whether free text goes along, as it stands.
    ask : callable, optional
        For the site's passphrase.

    Raises
    ------
    FedwardError
        As reading and :func:`client.exporting.fhir.export` raise, or the audit log cannot be written.
    """
    require_free(to)
    settings = read(folder / "site.toml")
    data, state = settings.data, folder / settings.state
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    parts = find(data.source).PARTS - (frozenset() if notes else {"notes"})
    select = Select(data.by, data.values)
    with at_work(settings, folder):
        cache = Cache(folder / settings.cache, open_key(settings, folder, ask))
        records = read_records(data.source, folder / data.folder, select, parts, cache)
    details = {"form": "FHIR R4", "digest": records.digest, "notes": str(notes)}
    with AuditLog(state / "audit.sqlite", settings.name) as log:
        log.append(Event(Kind.DATA_EXPORTED, {**details, "patients": len(records.patients)}))
    return export(records, to, key_of(state / "pseudonyms.key"))
