"""What every table of a plan is: frozen and strict."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

Module = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


def _free(name: str) -> str:
    if name == "mean" or {"local", "pooled"} & set(name.split("-")):
        raise ValueError(
            "no stage's name is 'mean' or has 'local' or 'pooled' in it: models of single sites, and of all, bear these"
        )
    return name


ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$"), AfterValidator(_free)]
"""How stages call what they train; no blanks, which tell a network's variants from it.

Nor what the files of these variants would be called: "net-local-alder" is the network that alder trained alone. And
"mean of local", which the sites' own trees say on average, is no variant of a model.
"""


class Part(BaseModel):
    """Frozen, strict: an unknown key or a wrong type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
