"""Submit a run to the coordinator's SuperLink and wait for its true end.

``flwr run --stream`` returns 0 when the app failed, and forgets the reason; this does not.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from common.exceptions import DeploymentError
from server.launching import connect, reason

if TYPE_CHECKING:
    from flwr.proto.run_pb2 import RunStatus
    from flwr.supercore.control import ControlHttpClient

_POLL = 0.2
_LOST_AFTER = 30.0


@dataclass(frozen=True)
class FlowerRun:
    """How a run ended.

    ``status`` is Flower's: "completed", "failed" or "stopped"; ``details`` the reason when it is
    not "completed"; ``log`` what the ServerApp wrote.
    """

    run_id: int
    status: str
    details: str
    log: str

    @property
    def succeeded(self) -> bool:
        """Whether the ServerApp ran to its end without an error."""
        return self.status == "completed"


def submit(
    app: Path,
    run_config: Mapping[str, str | int | float | bool],
    folder: Path,
    *,
    deadline_seconds: float,
    waiting: Callable[[], None] = lambda: None,
) -> FlowerRun:
    """Bundle an app, start it as a run, and wait until the run has finished.

    Parameters
    ----------
    app : Path
        Root of the app: the folder of the ``pyproject.toml`` with ``[tool.flwr.app]``.
    run_config : Mapping[str, str | int | float | bool]
        Values that override those in ``[tool.flwr.app.config]``; it must name every key.
    folder : Path
        Folder of a coordinator that is running, see :func:`server.launching.launch`.
    deadline_seconds : float
        The run is stopped when it has not finished after so many seconds.
    waiting : Callable[[], None]
        Called several times a second while the run goes on: a place to show progress.

    Returns
    -------
    FlowerRun
        However the run ended.

    Raises
    ------
    DeploymentError
        The app cannot be bundled, the coordinator does not answer, or it refuses the run.
    """
    import httpx
    from flwr.proto.control_pb2 import StopRunRequest

    bundle = _bundle(app)
    client = connect(folder)
    try:
        run_id = _start(client, bundle, run_config)
        deadline = time.monotonic() + deadline_seconds
        while (status := _status(client, run_id)).status != "finished":
            if time.monotonic() > deadline:
                client.StopRun(StopRunRequest(run_id=run_id))
                late = f"not finished after {deadline_seconds:.0f} s, so it was stopped"
                return FlowerRun(run_id, "stopped", late, _log(client, run_id))
            waiting()
            time.sleep(_POLL)
        return FlowerRun(run_id, status.sub_status, status.details, _log(client, run_id))
    except httpx.HTTPStatusError as error:
        raise DeploymentError(f"the coordinator refused: {reason(error)}") from error
    except httpx.TransportError as error:
        raise DeploymentError(f"the coordinator of {folder} does not answer: {error}") from error
    finally:
        client.close()


def _bundle(app: Path) -> bytes:
    """Build the Flower App Bundle; the same bytes for the same files."""
    from flwr.cli.build import build_fab_from_disk

    if not (app / "pyproject.toml").is_file():
        raise DeploymentError(f"{app} holds no pyproject.toml to bundle: submit from a checkout of the project")
    try:
        return build_fab_from_disk(app)
    except (ValueError, OSError) as error:
        raise DeploymentError(f"{app} cannot be bundled: {error}") from error


def _start(client: ControlHttpClient, bundle: bytes, run_config: Mapping[str, str | int | float | bool]) -> int:
    from flwr.common.serde import fab_to_proto, user_config_to_proto
    from flwr.proto.control_pb2 import StartRunRequest
    from flwr.supercore.fab import Fab

    fab = Fab(hashlib.sha256(bundle).hexdigest(), bundle, {})
    request = StartRunRequest(fab=fab_to_proto(fab), override_config=user_config_to_proto(dict(run_config)))
    return int(client.StartRun(request).run_id)


def _status(client: ControlHttpClient, run_id: int) -> RunStatus:
    """Ask for a run's status, through a restart of the SuperLink if need be."""
    import httpx
    from flwr.proto.control_pb2 import ListRunsRequest

    lost_at = time.monotonic() + _LOST_AFTER
    while True:
        try:
            runs = client.ListRuns(ListRunsRequest(run_id=run_id)).run_dict
            return cast("RunStatus", runs[run_id].status)
        except httpx.TransportError:
            if time.monotonic() > lost_at:
                raise
            time.sleep(_POLL)


def _log(client: ControlHttpClient, run_id: int) -> str:
    """Read the log of a finished run; the SuperLink then deletes the run's messages too."""
    from flwr.proto.control_pb2 import StreamLogsRequest

    stream = client.StreamLogs(StreamLogsRequest(run_id=run_id, after_timestamp=0.0))
    return "".join(part.log_output for part in stream)
