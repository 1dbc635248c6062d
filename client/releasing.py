"""The one way in which something about patients leaves a site: accounted for first, and kept to be sent again.

Order: reserved in the ledger, its head in the audit log; noise drawn; bytes stored; committed; sent. Whoever asks for
the same again gets the same bytes, for which nothing is spent. After a crash between the first step and the third
nobody knows what was seen, so drawing again is another release.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from common.audit.event import Event, Head, Kind
from common.audit.log import AuditLog
from common.crypto import files
from common.crypto.at_rest import SiteKey
from common.exceptions import AuditError, ConfigurationError, EncryptionError
from common.plan import Plan
from common.privacy.entries import Release
from common.privacy.events import Mechanism, Unprotected
from common.privacy.ledger import Ledger
from common.room import enough_space
from common.serialization import canonical, digest

LEDGER = "privacy-ledger"
"""As whose head the audit log keeps the ledger's."""


class Releases:
    """What a site has released, and what that cost its patients.

    Parameters
    ----------
    folder : Path
        Of the stored bytes, beside the ledger; made when needed.
    ledger : Ledger
    audit : AuditLog
        Remembers the ledger's head.
    key : callable
        Returns the key that the stored bytes are encrypted under.
    """

    def __init__(self, folder: Path, ledger: Ledger, audit: AuditLog, key: Callable[[], SiteKey]) -> None:
        self._folder, self.ledger, self._audit, self._key = folder, ledger, audit, key
        self._told: set[str] = set()

    def noised(
        self,
        name: str,
        run: str,
        plan: Plan,
        purpose: str,
        mechanisms: Sequence[Mechanism],
        draw: Callable[[], bytes],
        *,
        patients: int,
    ) -> bytes:
        """Release something noisy under a name: the stored bytes, or those drawn now.

        Parameters
        ----------
        name : str
            Digest of all that the bytes depend on but their noise.
        run, plan, purpose
            For whom.
        mechanisms : sequence of Mechanism
            What ``draw`` does.
        draw : callable
            Computes and adds noise; called once, after the release is in the ledger.
        patients : int
            At this site; delta has to be below one in that many.

        Raises
        ------
        PolicyRefusal
            The budget has too little left.
        ConfigurationError
            The site's delta is too large.
        PrivacyError
            The ledger cannot be written, was altered or put back.
        """
        if self.ledger.budget.delta * patients >= 1:
            raise ConfigurationError(
                f"site.toml: 'privacy.delta' is {self.ledger.budget.delta:g}, but has to be below one in the number of "
                "patients at this site: a larger one allows to publish somebody's record"
            )
        self.check()
        if (kept := self._kept(name)) is not None:
            return kept
        release = Release(name, run, plan.name, purpose, tuple(mechanisms))
        self._reserve(release)
        data = draw()
        with enough_space(self._folder.name, self._folder):
            self._folder.mkdir(exist_ok=True, mode=0o700)
            files.write(self._folder / name, self._key(), name, [data])
        self.ledger.commit(release, digest(data))
        return data

    def unprotected(self, run: str, plan: Plan, purpose: str) -> None:
        """Write down, once a run, that something without noise is about to be released for a purpose."""
        name = digest(canonical([run, plan.digest, purpose]))
        if name in self._told:
            return
        self.check()
        if not any(entry.release.name == name for entry in self.ledger.entries()):
            self._reserve(Release(name, run, plan.name, purpose, (Unprotected(),)))
        self._told.add(name)

    def check(self) -> None:
        """Compare the ledger with the head that the audit log holds of it (PrivacyError)."""
        check(self.ledger, self._audit)

    def _reserve(self, release: Release) -> None:
        self.ledger.reserve(release)
        mechanisms = [canonical(one.to_json()).decode() for one in release.mechanisms]
        details = {"run": release.run, "for": release.purpose, "release": release.name, "unit": "patient"}
        event = Event(Kind.PRIVACY_SPENT, {**details, "mechanisms": mechanisms})
        head: Head | None = None
        while True:
            before, head = head, self.ledger.head()
            try:
                self._audit.append(event, witnesses={LEDGER: head})
            except AuditError:  # another process may have written down a later head meanwhile
                self.check()
                if head == before:
                    raise
            else:
                return

    def _kept(self, name: str) -> bytes | None:
        """Bytes to send again; None when there are none, or not those that were committed: then they are drawn anew."""
        expected, file = self.ledger.committed(name), self._folder / name
        if expected is None or not file.exists():
            return None
        try:
            data = files.read(file, self._key(), name)
        except EncryptionError:
            return None
        return data if digest(data) == expected else None


def check(ledger: Ledger, audit: AuditLog) -> None:
    """Compare a ledger with the head that the audit log holds of it (PrivacyError)."""
    if (held := audit.witnessed().get(LEDGER)) is not None:
        ledger.check(held)
