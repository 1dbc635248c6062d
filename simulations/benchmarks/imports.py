"""What a site waits for before it computes: in a deployment each message is a new process.

The client app is imported in a fresh interpreter; then, for each request, a fresh process imports
it and answers once. A request's packages are those that the app had not brought in already.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from client.cohorts.loading import load
from client.datasets.base import ALL
from client.datasets.reading.cache import Cache
from common.boosting.model import Model, ModelHeader
from common.boosting.transfer import pack
from common.crypto import keys
from common.exceptions import DeploymentError
from common.messages import AdmissionRequest, BoostRequest, EvaluateRequest, StatisticsRequest
from common.payload import Payload
from common.plan import Plan, from_json
from common.tasks import base as tasks
from simulations.benchmarks.base import FEWEST_STAYS, in_fresh_process, interpreter, trivial_plan
from simulations.sites import write_settings
from simulations.synthetic.eicu_layout import generate

REQUESTS = ("admission", "statistics", "boost", "evaluate")
STRATEGY = "fedxgb_bagging"
OWN = {"client", "common", "server", "simulations", "strategies"}

_IMPORT_CLIENT = """
import json, sys, time
before, start = set(sys.modules), time.perf_counter()
import client.app
print(json.dumps([time.perf_counter() - start, sorted(set(sys.modules) - before)]))
"""


class Cost(NamedTuple):
    """Wall seconds of a whole process and of the part that is measured; packages that part imported."""

    process: float
    part: float
    packages: list[str]


def run(console: Console, requests: Sequence[str] = REQUESTS) -> dict[str, object]:
    """Measure the client app's import and each request, print a table and return the figures."""
    output, process = interpreter(_IMPORT_CLIENT)
    seconds, modules = json.loads(output)
    costs = {"Python alone": Cost(interpreter("")[1], 0.0, []), "import": Cost(process, seconds, packages(modules))}
    with tempfile.TemporaryDirectory() as folder:
        for kind in requests:
            costs[kind] = _answering(kind, Path(folder) / kind)
    console.print(_table(costs))
    return {name: cost._asdict() for name, cost in costs.items()}


def packages(modules: Iterable[str]) -> list[str]:
    """Third-party packages that modules belong to, sorted; extension modules beside a package are left out."""
    found = {module.partition(".")[0] for module in modules}
    return sorted(name for name in found - sys.stdlib_module_names - OWN if not name.startswith("_"))


def answer_once(kind: str, settings: str, plan: str, feature_names: list[str]) -> tuple[float, list[str], str]:
    """Answer one request in this process: seconds with its imports, modules these bring, the reply's kind."""
    from flwr.app import Message

    from client.app import app
    from common import records
    from common.actions import ACTION_OF
    from common.audit.event import Head
    from common.payload import Header
    from simulations.grid import InProcessGrid

    head = Head.genesis("coordinator")
    header = Header(run="run", sender="coordinator", head_sequence=head.sequence, head_hash=head.hash)
    request = _request(kind, from_json(plan), tuple(feature_names))
    with InProcessGrid(app, {"site": Path(settings)}, {"run": "run", "plan": plan}) as grid:
        message = Message(records.encode(header, request), dst_node_id=1, message_type=ACTION_OF[type(request)])
        before, start = set(sys.modules), time.perf_counter()
        (reply,) = grid.send_and_receive([message])
        seconds = time.perf_counter() - start
    new = [module for module in sys.modules if module.partition(".")[0] not in before]
    return seconds, new, str(reply.content["body"]["kind"])


def _answering(kind: str, folder: Path) -> Cost:
    """Have a new site answer one request in a fresh process."""
    plan = trivial_plan(1, STRATEGY, 1)
    generate(1, FEWEST_STAYS, 1, folder / "hospital")
    (settings,) = write_settings(plan, folder / "sites", folder / "hospital", {"site": ALL}).values()
    cache = Cache(folder / "cache", keys.temporary())
    cohort = load(plan.data.source, folder / "hospital", tasks.find(plan.task), ALL, plan.modalities, cache)
    (seconds, modules, reply), process = in_fresh_process(
        answer_once, kind, str(settings), plan.to_json(), cohort.features.names
    )
    if reply != f"{kind}-reply":
        raise DeploymentError(f"the site answered the {kind} request with: {reply}")
    return Cost(process, seconds, packages(modules))


def _request(kind: str, plan: Plan, feature_names: tuple[str, ...]) -> Payload:
    """Smallest request of a kind; those about models speak of the one without trees."""
    model = pack([(Model(ModelHeader(0.1, feature_names)), None)])
    (label,) = plan.label_names
    round_one = {
        "label": label,
        "seed": 1,
        "fold": 0,
        "round": 1,
        "stage": STRATEGY,
        "learning_rate": 0.3,
        "trees_wanted": 1,
    }
    requests: dict[str, Payload] = {
        "admission": AdmissionRequest(plan_digest=plan.digest),
        "statistics": StatisticsRequest(),
        "boost": BoostRequest.model_validate({**model, **round_one}),
        "evaluate": EvaluateRequest(**model, labels=[label], seed=1, folds=[0], candidates=["benchmark"]),
    }
    return requests[kind]


def _table(costs: Mapping[str, Cost]) -> Table:
    table = Table(title="What a site's process costs before and while it answers once")
    for column in ("", "s a process", "s of it", "packages imported"):
        table.add_column(column, justify="right" if column.startswith("s") else "left")
    for name, cost in costs.items():
        table.add_row(name, f"{cost.process:.2f}", f"{cost.part:.2f}", ", ".join(cost.packages))
    return table
