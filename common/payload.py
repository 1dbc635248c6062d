"""What every payload is made of, and what travels with each: bounded fields, the header, the refusal."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from common.names import Name, RunName

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=400)]
ReferenceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$")]
LONGEST_REASON = 1000
Reason = Annotated[str, StringConstraints(max_length=LONGEST_REASON)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Loss = Annotated[float, Field(ge=0, le=1000)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Moment = Annotated[float, Field(ge=-1e12, le=1e12)]
Figure = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Payload(BaseModel):
    """Frozen and strict; flat, because Flower's records are."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    kind: ClassVar[str]


class Header(Payload):
    """Travels with every message: who speaks, in which run, and the head of their audit log.

    With every reply of a site also that of its privacy ledger, after what the reply has cost. Without one the hash is
    empty: in requests, and in a refusal where the ledger cannot be read.
    """

    kind: ClassVar[str] = "header"
    protocol: Annotated[int, Field(ge=1, le=1)] = 1
    run: RunName
    sender: Name
    head_sequence: Count
    head_hash: Digest
    ledger_sequence: Count = 0
    ledger_hash: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""


class Refusal(Payload):
    """Instead of any reply: the site will not or cannot; the text names no data."""

    kind: ClassVar[str] = "refusal"
    code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{1,40}$")]
    reason: Reason
