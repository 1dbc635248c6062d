"""What holds for every test: hypothesis judges results, not the speed of the machine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import pytest
from hypothesis import settings

from common.plan import Plan, from_json, read
from common.serialization import canonical, parse

settings.register_profile("fedward", deadline=None)
settings.load_profile("fedward")


@pytest.fixture(scope="session")
def demo_with() -> Callable[[Mapping[str, object]], Plan]:
    """Build the demo plan with changes given by dotted keys."""

    def build(changes: Mapping[str, object]) -> Plan:
        tree = parse(read("demo").to_json())
        for key, value in changes.items():
            *path, last = key.split(".")
            functools.reduce(lambda part, name: part[name], path, tree)[last] = value
        return from_json(canonical(tree).decode())

    return build
