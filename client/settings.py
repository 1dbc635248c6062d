"""A site's own settings, ``site.toml``: its name, its data, what its policy allows and how much privacy may be spent.

The hospital writes this file; no plan and no message changes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from common import toml
from common.exceptions import ConfigurationError
from common.names import RESERVED, Name


class Part(BaseModel):
    """Frozen, strict: an unknown key or a wrong type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataSettings(Part):
    """Where the data lies and which of its rows are this site's.

    ``by`` is "all", "patient" or what the source divides by, such as "region"; ``values`` names
    the regions, hospital numbers, units.
    """

    source: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    folder: str
    by: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]*$")] = "all"
    values: tuple[str, ...] = ()


class Policy(Part):
    """What this site allows, whatever a plan says.

    ``tasks`` are the prediction tasks it takes part in, none unless listed; ``minimum_cohort`` is
    the fewest patients it trains or evaluates on; ``minimum_cell`` the smallest count it tells;
    ``share`` the most an evaluation may carry: "summary" figures, or "curves", counts of patients
    per score bin; ``describe`` the most that statistics may carry: "counts" of stays, patients and
    labels, or "features", tables of the features too. With ``maximum_epsilon`` statistics are refused unless
    they are noised and cost a patient at most that much privacy.
    """

    tasks: tuple[str, ...] = ()
    minimum_cohort: Annotated[int, Field(ge=1)] = 20
    minimum_cell: Annotated[int, Field(ge=3)] = 11
    share: Literal["summary", "curves"] = "summary"
    describe: Literal["counts", "features"] = "counts"
    maximum_epsilon: Annotated[float, Field(gt=0)] | None = None


class EncryptionSettings(Part):
    """Where the key comes from that encrypts what the site derives from patients; one of three.

    ``key_file`` is a file for its owner only, made when missing: better on another disk than the data. ``command``
    prints the key, as a vault's client does. With ``passphrase`` it is derived from what a person types at the start.
    """

    key_file: str = "state/site.key"
    command: tuple[str, ...] = ()
    passphrase: bool = False

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.passphrase and self.command:
            raise ValueError("the key comes from a 'command' or from a 'passphrase', not from both")
        return self


class PrivacySettings(Part):
    """What all releases about this site's patients may cost one of them, over all runs together.

    Without an ``epsilon`` releases are written down and never refused. ``delta`` has to be below one in the number of
    patients; below 1e-9 what floating point gets wrong in a million steps would count for more. ``unprotected``
    releases are those without noise, which no epsilon bounds; each is written down as such. "allow" lets them leave.
    "evaluation" lets only the figures of evaluations leave, which models are chosen by: rounded, and withheld where a
    class is of few patients. "refuse" lets none leave; since evaluations are exact, no plan can be followed to its end
    then, and the site takes part in none.
    """

    epsilon: Annotated[float, Field(gt=0)] | None = None
    delta: Annotated[float, Field(ge=1e-9, lt=1)] = 1e-6
    unprotected: Literal["allow", "evaluation", "refuse"] = "allow"


class CoordinatorSettings(Part):
    """How to reach the coordinator; needed to start a client, not to simulate one."""

    address: str
    certificate: str
    key: str


class SiteSettings(Part):
    """Everything in ``site.toml``; paths in it are relative to the file's folder.

    ``device`` is what networks are trained on: "auto" (the first CUDA device, else the processor), "cpu", "cuda:1", or
    several as "cuda:0,cuda:1", over which batches are divided. ``weights`` are files of pretrained weights, by the name
    of their encoder: a state dict in safetensors' or torch's format.
    """

    name: Name
    state: str = "state"
    cache: str = "state/cache"
    data: DataSettings
    policy: Policy = Policy()
    encryption: EncryptionSettings = EncryptionSettings()
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?(,cuda:[0-9]{1,2})*)$")] = "auto"
    weights: dict[str, str] = Field(default_factory=dict)
    privacy: PrivacySettings = PrivacySettings()
    coordinator: CoordinatorSettings | None = None

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name in RESERVED:
            raise ValueError(f"no site can be called {name}")
        return name


def read(file: Path) -> SiteSettings:
    """Read a site's settings.

    Raises
    ------
    ConfigurationError
        Naming the file and the key.
    """
    tables: toml.Tables = {
        "data": DataSettings,
        "policy": Policy,
        "encryption": EncryptionSettings,
        "privacy": PrivacySettings,
        "coordinator": CoordinatorSettings,
    }
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not UTF-8 text (byte {error.start})") from error
    return toml.from_toml(text, str(file), SiteSettings, tables=tables, error=ConfigurationError)
