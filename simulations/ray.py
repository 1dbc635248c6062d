"""The same plan on Flower's own engine: sites in Ray actors, for many cores or a Ray cluster.

Only this file touches Flower's simulation internals. The public ``flwr.simulation.run_simulation``
gives the apps no run configuration, so its inner function is called, which takes one. A node
of that engine has a number instead of settings; :class:`SiteApp` gives it the settings file.

On a cluster the folders of the run and of the data must lie on a disk that all machines share.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore import telemetry
from flwr.supercore.telemetry import EventType

from common.exceptions import DeploymentError
from simulations.grid import allow_open_files

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
BACKEND: dict[str, Any] = {
    "init_args": {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR},
    "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
}


class SiteApp(ClientApp):
    """The unmodified ``client.app``, for one numbered node at a time; travels to Ray's actors.

    Parameters
    ----------
    files : mapping of site name to settings file
        Node i is the i-th site in the order of names.
    run_config : mapping
    """

    def __init__(self, files: Mapping[str, Path], run_config: Mapping[str, str]) -> None:
        super().__init__()
        self._files = [str(files[name].resolve()) for name in sorted(files)]
        self._run_config = dict(run_config)

    def __call__(self, message: Message, context: Context) -> Message:
        """Answer as the site whose number the node has."""
        from client.app import app

        allow_open_files(len(self._files))
        site = Context(
            run_id=context.run_id,
            node_id=context.node_id,
            node_config={"site": self._files[int(context.node_config["partition-id"])]},
            state=context.state,
            run_config=dict(self._run_config),
        )
        return app(message, site)


def run(files: Mapping[str, Path], run_config: dict[str, str]) -> None:
    """Run the two unmodified apps on Flower's Ray engine.

    Parameters
    ----------
    files : mapping of site name to settings file
    run_config : dict
        What both apps get.

    Raises
    ------
    FedwardError
        The one the server app ended with; DeploymentError when Ray itself failed.
    """
    from server.app import app as server_app

    with _quiet_ray():
        from flwr.simulation.run_simulation import _run_simulation

        try:
            _run_simulation(
                num_supernodes=len(files),
                exit_event=EventType.PYTHON_API_RUN_SIMULATION_LEAVE,
                client_app=SiteApp(files, run_config),
                server_app=server_app,
                server_app_context=Context(0, 0, {}, RecordDict(), dict(run_config)),
                backend_config=deepcopy(BACKEND),
            )
        except RuntimeError as error:
            raise DeploymentError(f"Flower's Ray engine failed: {error.__cause__ or error}") from error


@contextmanager
def _quiet_ray() -> Iterator[None]:
    """Nothing is reported to anybody; afterwards Ray is down and the process as it was."""
    environment, flower = dict(os.environ), logging.getLogger("flwr")
    level, create_event = flower.level, telemetry.create_event
    os.environ.update(QUIET)
    flower.setLevel(logging.ERROR)
    telemetry.create_event = lambda *_: "disabled"  # Flower read its own variable when it was first imported
    try:
        yield
    finally:
        import ray

        ray.shutdown()
        telemetry.create_event = create_event
        flower.setLevel(level)
        os.environ.clear()
        os.environ.update(environment)
