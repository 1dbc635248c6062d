"""The only error tree.

FedwardError
├── PlanError            a plan file is wrong: unknown key, wrong type, contradiction
├── ConfigurationError   a site's or coordinator's own settings are wrong
├── DataError            a data file is wrong: names file, row and field
├── ModelError           a model or its trees are malformed or do not fit
├── ResamplingError      a training fold cannot be resampled or trained on
├── PolicyRefusal        a site's own policy forbids what was asked
├── EgressRefusal        a reply carried something its stage does not declare
├── ProtocolError        a message does not follow the wire format
├── QuorumError          too few sites answered in time: names them
├── EncryptionError      a site key is missing or wrong, or an encrypted file was changed
├── CheckpointError      a run cannot be resumed
├── AuditError           the audit log cannot be written, or does not verify
├── PrivacyError         the privacy ledger cannot be written or does not verify, or noise cannot be accounted for
└── DeploymentError      a process, certificate or port of a deployment failed

Two texts belong to every error: ``str(error)`` for the person on whose machine it
happened, and ``error.public`` which may cross to another party. The public text never
holds a value read from data.
"""

from __future__ import annotations

import copyreg
from typing import Any


class FedwardError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    message : str
        What is wrong and what to do about it, for the local reader.
    public : str, optional
        What other parties may read. Defaults to a sentence that only names the kind.
    """

    def __init__(self, message: str, *, public: str | None = None) -> None:
        super().__init__(message)
        self._public = public

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way back from a worker process, whatever a kind's constructor asks for."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    @property
    def code(self) -> str:
        """Name of the kind, stable across releases; travels on the wire."""
        return type(self).__name__

    @property
    def public(self) -> str:
        """Text that may leave the machine: no values from data, no paths."""
        return self._public or f"{self.code}; the details stay in the log of the machine where it happened"


class PlanError(FedwardError):
    """A plan is refused; the message names file, key and what is allowed."""

    @property
    def public(self) -> str:
        """A plan holds no patient data, so its errors are public."""
        return str(self)


class ConfigurationError(FedwardError):
    """A site's or coordinator's own settings are refused."""


class DataError(FedwardError):
    """A data file is refused.

    Parameters
    ----------
    problem : str
        What is wrong, without any patient identifier.
    file : str
        Name of the table or file.
    row : int, optional
        1-based number of the data row (the header is row 0).
    field : str, optional
        Column or tag.
    fix : str, optional
        What to do.
    """

    def __init__(
        self, problem: str, *, file: str, row: int | None = None, field: str | None = None, fix: str = ""
    ) -> None:
        place = file + (f", row {row}" if row is not None else "") + (f", field '{field}'" if field else "")
        super().__init__(
            f"{place}: {problem}" + (f"; {fix}" if fix else ""),
            public=f"DataError in table {file}" + (f", field '{field}'" if field else ""),
        )
        self.problem, self.file, self.row, self.field, self.fix = problem, file, row, field, fix

    @property
    def reason(self) -> str:
        """Field and problem without the place: what refusals of many files are counted by."""
        return f"{self.field}: {self.problem}" if self.field else self.problem


class ModelError(FedwardError):
    """A model is malformed; models hold no patient identifiers, so the text is public."""

    @property
    def public(self) -> str:
        """Structure of a model is shared by all parties."""
        return str(self)


class ResamplingError(FedwardError):
    """A training fold has too few cases of a class; the count itself stays local."""


class PolicyRefusal(FedwardError):
    """The site's own policy forbids what was asked."""

    @property
    def public(self) -> str:
        """A policy's text names rules, never data."""
        return str(self)


class EgressRefusal(FedwardError):
    """A reply carried something its stage does not declare."""


class ProtocolError(FedwardError):
    """A message does not follow the wire format."""

    @property
    def public(self) -> str:
        """Field names and kinds only."""
        return str(self)


class QuorumError(FedwardError):
    """Too few sites answered in time; names who is missing and why."""

    @property
    def public(self) -> str:
        """Site names are known to all parties of a run."""
        return str(self)


class EncryptionError(FedwardError):
    """A site key is missing or wrong, or an encrypted file is not as it was written."""


class CheckpointError(FedwardError):
    """A run cannot be resumed from what is on disk."""


class AuditError(FedwardError):
    """The audit log cannot be written or does not verify; the action must not happen."""


class PrivacyError(FedwardError):
    """The privacy ledger cannot be written or does not verify; nothing may be released."""


class DeploymentError(FedwardError):
    """A process, certificate or port of a deployment failed."""
