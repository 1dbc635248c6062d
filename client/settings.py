"""A site's own settings, ``site.toml``: its name, its data, what its policy allows.

The hospital writes this file; no plan and no message changes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

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


class CoordinatorSettings(Part):
    """How to reach the coordinator; needed to start a client, not to simulate one."""

    address: str
    certificate: str
    key: str


class SiteSettings(Part):
    """Everything in ``site.toml``; paths in it are relative to the file's folder."""

    name: Name
    state: str = "state"
    cache: str = "state/cache"
    data: DataSettings
    policy: Policy = Policy()
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
    tables: toml.Tables = {"data": DataSettings, "policy": Policy, "coordinator": CoordinatorSettings}
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not UTF-8 text (byte {error.start})") from error
    return toml.from_toml(text, str(file), SiteSettings, tables=tables, error=ConfigurationError)
