"""A simulation's sites: one settings file each, over one data folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from client.cohorts.loading import sites as divide
from client.datasets.base import ALL, Select
from common.exceptions import ConfigurationError, PlanError
from common.plan import Plan

HOSPITAL = "hospital-"
"""What the folders of hospitals that share no tables are called, before their number."""
Folders = Path | Mapping[str, Path]
"""The data folder, or that of each site."""


def read_folders(given: Sequence[str]) -> Folders | None:
    """Read what a command line says of data: nothing, one folder, or ``site=FOLDER`` for each site.

    Raises
    ------
    ConfigurationError
        Several of which one is no ``site=FOLDER``, or a site twice.
    """
    pairs = [one.partition("=") for one in given]
    if len(given) == 1 and (Path(given[0]).is_dir() or not pairs[0][1]):
        return Path(given[0])
    found = {site: Path(folder) for site, equals, folder in pairs if equals}
    if len(found) < len(given):
        raise ConfigurationError("--data is given once, or as SITE=FOLDER once for each site")
    return found or None


def partition(plan: Plan, data: Folders) -> dict[str, Select]:
    """Divide a data folder as the plan says.

    By folder, every site has its own: the one it is given, or the one called like it in the data folder. By hospital,
    a folder of folders ``hospital-1``, ``hospital-2``, ... is one site a folder; see :func:`own_folder`.

    Returns
    -------
    dict of site name to the rows it owns, for the sites the plan invites, in their order.

    Raises
    ------
    PlanError
        The plan invites a site that the data does not have; lists those it has. Or the sites are given a folder
        each, and the plan divides a single one.
    """
    if plan.sites.partition == "folder":
        homes = data if isinstance(data, Mapping) else {name: data / name for name in plan.sites.names}
        available = {name: ALL for name, home in homes.items() if home.is_dir()}
    elif isinstance(data, Mapping):
        raise PlanError(f"plan {plan.name} divides one data folder by {plan.sites.partition}: say --data FOLDER")
    elif plan.sites.groups:
        available = {name: Select("hospital", hospitals) for name, hospitals in plan.sites.groups.items()}
    elif plan.sites.partition == "hospital" and (found := sorted(data.glob(f"{HOSPITAL}*/"), key=_by_number)):
        available = {home.name: ALL for home in found}
    else:
        available = divide(plan.data.source, data, plan.sites.partition, len(plan.sites.names))
    unknown = [name for name in plan.sites.names if name not in available]
    if unknown:
        raise PlanError(f"key 'sites.names': no data for {', '.join(unknown)}; sites here: {', '.join(available)}")
    return {name: available[name] for name in plan.sites.names or available}


def own_folder(plan: Plan, data: Folders, site: str) -> Path:
    """Return where a site's data lies: in its own folder, or else in that of all."""
    if isinstance(data, Mapping):
        return data[site]
    own = data / site
    if plan.sites.partition == "folder":
        return own
    return own if plan.sites.partition == "hospital" and site.startswith(HOSPITAL) and own.is_dir() else data


def write_settings(
    plan: Plan,
    folder: Path,
    data: Folders,
    sites: Mapping[str, Select],
    cache: Path | None = None,
    weights: Mapping[str, Path] | None = None,
) -> dict[str, Path]:
    """Write ``<folder>/<site>/site.toml`` for each site and return the files by site name.

    Sites of one data folder may share a ``cache``, so that what is slow to parse is parsed once; the key that
    encrypts it is the researcher's own and lies beside it. ``weights`` are files of pretrained ones, by encoder.
    The policies are open, since all the data is the researcher's: counts per score bin may be shared,
    features described, and small cohorts take part. The small-cell rule stays as at a hospital.
    """
    files = {}
    named = [f"{_quoted(encoder)} = {_quoted(file.resolve())}" for encoder, file in (weights or {}).items()]
    pretrained = "\n".join(["[weights]", *named, ""] if named else [])
    shared = "" if cache is None else f"cache = {_quoted(cache.resolve())}\n"
    key = "" if cache is None else f"[encryption]\nkey_file = {_quoted(f'{cache.resolve()}.key')}\n"
    for name, select in sites.items():
        home = folder / name
        home.mkdir(parents=True, exist_ok=True)
        files[name] = home / "site.toml"
        data_of_site = data_and_policy(plan, name, own_folder(plan, data, name), select)
        files[name].write_text(f'name = "{name}"\n{shared}\n{data_of_site}\n{key}\n{pretrained}', encoding="utf-8")
    return files


def data_and_policy(plan: Plan, site: str, data: Path, select: Select) -> str:
    """Write the tables "data" and "policy" of a site's ``site.toml``."""
    return "\n".join(
        [
            "[data]",
            f"source = {_quoted(plan.data.source_of(site))}",
            f"folder = {_quoted(data.resolve())}",
            f"by = {_quoted(select.by)}",
            f"values = {_quoted(list(select.values))}",
            "",
            "[policy]",
            f"tasks = {_quoted([plan.task])}",
            "minimum_cohort = 1",
            'share = "curves"',
            'describe = "features"',
            "",
        ]
    )


def _by_number(home: Path) -> tuple[int, str]:
    return len(home.name), home.name


def _quoted(value: str | Path | list[str]) -> str:
    """Write TOML: a JSON string or list of strings is TOML too."""
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
