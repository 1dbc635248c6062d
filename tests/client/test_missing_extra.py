"""A site without the extra 'encoders' says so when it is asked about networks, in its log and to the coordinator."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.handlers.admission import admit
from common.messages import AdmissionReply
from common.payload import Payload
from common.plan import Plan
from tests.client.answers import admission, assert_audited, refused
from tests.networks import stage, stages

ROOT = Path(__file__).parents[2]
REASON = "this needs {}, and the extra 'encoders' that brings it is not installed at this site"
SITE = """
import sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "opacus", "safetensors"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from flwr.app import Message
from flwr.supercore.task_identity import TaskIdentity
from client import app
from common import records
from common.network_messages import EmbedRequest, ScoreRequest, TrainAloneRequest, TrainRequest
from common.payload import Refusal
from common.plan import from_json
from common.serialization import digest
from tests.client.conftest import Ward

TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 0
ward, known = Ward(Path(sys.argv[1]), from_json(sys.argv[2])), {"seed": 7, "fold": 0}
network = {**known, "stage": "net", "weights": b"any"}
rule = {"keeps": "nothing", "controlled": False, "proximal": 0.0, "personal": 0.0}
weights = {"weights": [b"any"], "digests": [digest(b"any")]}
REQUESTS = {
    "network": TrainRequest(**network, **rule, round=1, control=b"", patients=0, counted=0),
    "network_alone": TrainAloneRequest(**network),
    "embed": EmbedRequest(**{**network, "stage": "seen"}, keeps="nothing"),
    "score": ScoreRequest(seed=7, networks=["net"], folds=[0], keeps=["nothing"], **weights),
}
for name, request in REQUESTS.items():
    message = Message(ward.pack(request), dst_node_id=1, message_type="query")
    message.metadata.__dict__["_message_id"] = name
    refusal = records.decode(getattr(app, name)(message, ward.context).content, Refusal)[1]
    print(name, refusal.code, refusal.reason, sep=";")
"""


def lacking(package: str) -> Callable[..., Payload]:
    """Return a handler that a package is missing for."""

    def handler(*_: object) -> Payload:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    return handler


@pytest.mark.parametrize("package", ["torch", "safetensors.torch"])
def test_a_package_that_an_extra_brings_is_named_to_the_coordinator(ward: Any, package: str) -> None:
    refusal = refused(ward.ask(admission(ward), lacking(package)))
    assert (refusal.code, refusal.reason) == ("ConfigurationError", REASON.format(package.partition(".")[0]))
    assert_audited(ward, refusal)


def test_any_other_is_an_unexpected_error(ward: Any) -> None:
    refusal = refused(ward.ask(admission(ward), lacking("torchlike")))
    assert refusal.code == "InternalError"
    assert "torchlike" not in refusal.reason


def test_every_request_about_networks_is_answered_without_torch(
    open_ward: Callable[..., Any], plan_with: Callable[..., Plan]
) -> None:
    seen = {"kind": "features", "name": "seen", "encoder": "net"}
    boosting = {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1, "inputs": ["seen"]}
    plan = plan_with(stages=stages(stage("net"), seen, boosting, {"kind": "local", "trees": 1}))
    ward = open_ward(follow=plan)
    assert isinstance(ward.ask(admission(ward), admit), AdmissionReply), "control: the site takes part"
    given = [str(ward.file), plan.to_json()]
    told = subprocess.run([sys.executable, "-c", SITE, *given], cwd=ROOT, capture_output=True, text=True, check=True)
    answers = [line.split(";", 2) for line in told.stdout.splitlines()]
    assert [name for name, *_ in answers] == ["network", "network_alone", "embed", "score"]
    assert {code for _, code, _ in answers} == {"ConfigurationError"}
    assert {reason for *_, reason in answers} <= {REASON.format(package) for package in ("torch", "safetensors")}
