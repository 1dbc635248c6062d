"""How plans, sites and runs are named: lower-case letters, digits and dashes, so that a name can be a folder's."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

NAME = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
RESERVED = frozenset({"coordinator", "overall"})
"""No site's name: the other party in the audit logs, and the row of all sites in results."""
RUN_NAME = r"^[a-z0-9][a-z0-9-]{0,79}$"

Name = Annotated[str, StringConstraints(pattern=NAME)]
"""Of a site or a plan."""
RunName = Annotated[str, StringConstraints(pattern=RUN_NAME)]
