"""A site over two small synthetic hospitals, and a coordinator that speaks to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from client import open_sites as sites
from client.answering import answer
from client.site import Site
from common import records
from common.audit.event import Entry, Head
from common.audit.log import AuditLog
from common.boosting.model import Model, ModelHeader
from common.boosting.transfer import pack
from common.messages import REPLY_TO, Behind, BoostRequest, LocalRequest
from common.payload import Header, Payload, Refusal
from common.plan import Plan, from_json
from simulations.synthetic.eicu_layout import generate
from tests.reading import load_once

pytest.register_assert_rewrite("tests.client.answers")

PLAN: dict[str, Any] = {
    "name": "trial",
    "title": "Two small hospitals",
    "task": "in_hospital_mortality",
    "modalities": ["table"],
    "seeds": [7],
    "data": {"source": "eicu", "synthetic": None},
    "sites": {
        "partition": "hospital",
        "names": ["ward-1", "ward-2"],
        "groups": {},
        "quorum": 1,
        "deadline_seconds": 5.0,
        "on_missing": "fail",
    },
    "split": {"folds": 2, "held_out": [0]},
    "resampling": "none",
    "trees": {
        "learning_rate": 0.3,
        "max_depth": 3,
        "min_child_weight": 0.1,
        "l2": 1.0,
        "row_fraction": 1.0,
        "column_fraction": 1.0,
        "bins": 256,
    },
    "stages": [
        {"kind": "statistics"},
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 3, "trees_per_round": 2},
        {"kind": "local", "trees": 2},
        {"kind": "evaluate", "share": "curves", "bootstraps": 100},
    ],
}
Handler = Callable[[Site, Plan, Any], Payload]


@dataclass
class Ward:
    """One site, and what a coordinator needs to speak to it."""

    file: Path
    plan: Plan
    run: str = "run-1"
    head: Head = field(default_factory=lambda: Head.genesis("coordinator"))

    @property
    def site(self) -> Site:
        """The site, as the handlers get it."""
        return sites.open_site(self.file)

    @property
    def context(self) -> Context:
        """What Flower hands to the app."""
        config: dict[str, Any] = {"run": self.run, "plan": self.plan.to_json()}
        return Context(run_id=1, node_id=1, node_config={"site": str(self.file)}, state=RecordDict(), run_config=config)

    def pack(self, request: Payload, **header: Any) -> RecordDict:
        """Build the coordinator's message; ``header`` overrides what it says of itself."""
        self.head = self.head.after(b"the coordinator's log has grown")
        fields = {"run": self.run, "sender": "coordinator", "head_sequence": self.head.sequence}
        return records.encode(Header(**{**fields, "head_hash": self.head.hash, **header}), request)

    def send(self, content: RecordDict, expected: type[Payload], handler: Handler) -> Message:
        """Let the site answer a message."""
        message = Message(content, dst_node_id=1, message_type="query")
        message.metadata.__dict__["_message_id"] = "message-1"
        return answer(message, self.context, expected, handler)

    def ask(self, request: Payload, handler: Handler, **header: Any) -> Payload:
        """Let the site answer a request, and read the reply."""
        reply = self.send(self.pack(request, **header), type(request), handler)
        return records.decode(reply.content, *REPLY_TO.values(), Behind, Refusal)[1]

    def header(self) -> ModelHeader:
        """What all models of the run begin with, base score 0.125."""
        return ModelHeader(0.125, self.site.table(self.plan).feature_names)

    def boost(self, model: Model, *, held: str | None = None, number: int = 1, **changes: Any) -> BoostRequest:
        """Ask for two trees on top of a model of which the site is believed to hold a part."""
        fields: dict[str, Any] = {"label": "death", "seed": 7, "fold": 0, "round": number, "stage": "fedxgb_bagging"}
        fields |= {"learning_rate": 0.3, "trees_wanted": 2, **changes}
        return BoostRequest(**pack([(model, held)]), **fields)

    def local(self, **changes: Any) -> LocalRequest:
        """Ask for a model of the site's own, of two trees."""
        return LocalRequest(
            **{"label": "death", "seed": 7, "fold": 0, "base_score": 0.125, "trees_wanted": 2, **changes}
        )

    @property
    def entries(self) -> list[Entry]:
        """What the site's audit log holds."""
        with AuditLog(self.file.parent / "state" / "audit.sqlite", self.file.parent.name) as log:
            return list(log.entries())

    @property
    def kinds(self) -> list[str]:
        """Kinds of the entries, in order."""
        return [str(entry.event.kind) for entry in self.entries]


@pytest.fixture(scope="session")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the tables of two synthetic hospitals of 120 stays each."""
    folder = tmp_path_factory.mktemp("hospitals")
    generate(2, 120, 9, folder)
    return folder


@pytest.fixture(scope="session")
def plan() -> Plan:
    """Return a plan for both hospitals."""
    return from_json(json.dumps(PLAN))


@pytest.fixture(scope="session")
def plan_with() -> Callable[..., Plan]:
    """Return that plan with some top-level keys replaced."""
    return lambda **changes: from_json(json.dumps({**PLAN, **changes}))


@pytest.fixture
def open_ward(
    tmp_path: Path, hospitals: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Ward]]:
    """Open a site over one of the hospitals, or over another folder of tables."""
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 0  # building a message reads them
    monkeypatch.setattr("client.site.load", load_once)

    def open_(
        name: str = "ward-1",
        *,
        data: Path = hospitals,
        values: Sequence[str] = ("1",),
        policy: str = 'tasks = ["in_hospital_mortality"]\nshare = "curves"',
        follow: Plan = plan,
    ) -> Ward:
        file = tmp_path / name / "site.toml"
        file.parent.mkdir()
        file.write_text(
            f'name = "{name}"\n[data]\nsource = "eicu"\nfolder = {json.dumps(str(data))}\n'
            f'by = "hospital"\nvalues = {json.dumps(list(values))}\n[policy]\n{policy}\n'
        )
        return Ward(file, follow)

    yield open_
    sites.close_sites()


@pytest.fixture
def ward(open_ward: Callable[..., Ward]) -> Ward:
    """Return a site over the first hospital."""
    return open_ward()


@pytest.fixture
def reopened() -> Callable[[Ward], Ward]:
    """Forget what the process keeps in memory, as a new process would."""

    def reopen(ward: Ward) -> Ward:
        sites.close_sites()
        return replace(ward)

    return reopen
