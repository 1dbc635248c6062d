"""TOML files into strict, frozen models; what is wrong is said with file, key and what is allowed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from common.exceptions import FedwardError
from common.serialization import canonical, parse

M = TypeVar("M", bound=BaseModel)
Tables = Mapping[str, type[BaseModel]]


def from_toml(text: str, file: str, model: type[M], *, tables: Tables, error: type[FedwardError]) -> M:
    """Parse TOML into a model.

    Parameters
    ----------
    text : str
    file : str
        How messages name the text.
    model : type
        A strict pydantic model.
    tables : mapping of str to type
        Models of the tables below it by key, to tell what is allowed in each.
    error : type
        What to raise.
    """
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        raise error(f"{file}: not TOML: {problem}") from problem
    for key in _unfit(tree):
        raise error(f"{file}: key '{key}': a date, infinity, nan or a number beyond 64 bits has no place here")
    return from_json(canonical(tree), file, model, tables=tables, error=error)


def from_json(text: bytes, file: str, model: type[M], *, tables: Tables, error: type[FedwardError]) -> M:
    """Parse JSON into a model; parameters as in :func:`from_toml`."""
    try:
        parse(text)
        return model.model_validate_json(text)
    except ValidationError as problem:
        lines = [_explain(file, one, {"": model, **tables}) for one in problem.errors()]
        raise error("\n".join(lines)) from problem
    except (ValueError, RecursionError) as problem:
        raise error(f"{file}: not JSON as expected: {problem}") from problem


def _unfit(value: object, place: tuple[str, ...] = ()) -> Iterator[str]:
    """Keys of values that TOML has and JSON has not."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _unfit(item, (*place, str(key)))
    elif not (isinstance(value, str) or (isinstance(value, int | float) and abs(value) < 2**63)):
        yield ".".join(place)


def _explain(file: str, problem: Any, tables: Tables) -> str:
    location: tuple[str | int, ...] = problem["loc"]
    key = ".".join(str(part) for part in location if part != "[key]")
    if problem["type"] == "extra_forbidden":
        holder = next((part for part in reversed(location[:-1]) if part in tables), "")
        return f"{file}: unknown key '{key}'; allowed here: {', '.join(tables[str(holder)].model_fields)}"
    if problem["type"] == "union_tag_not_found":
        kinds = ", ".join(name for name, table in tables.items() if "kind" in table.model_fields)
        return f"{file}: key '{key}': 'kind' is missing; allowed: {kinds}"
    text = re.sub(r"^Value error, ", "", str(problem["msg"]))
    return f"{file}: key '{key}': {text}" if key else f"{file}: {text}"
