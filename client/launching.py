"""A site's SuperNode process.

``start`` runs this same file as a child process (``python client/launching.py``), which is
Flower's ``flower-supernode`` with two changes that make an exchange take a fraction of a
second instead of six:

- Flower asks the coordinator for work every 3 s. Here the question is repeated quickly while
  a study is going on, and ever more slowly, up to Flower's 3 s, while nothing happens.
- Flower starts a new interpreter for each message, which imports itself for more than a
  second. Here a worker is forked from a process that has imported Flower already, and
  nothing else: it is still a new process for each message, with no memory of the last one.

The child must not import any of the project's packages, for a forked worker would then run
the installed code instead of the code that was submitted. So everything the launcher needs
of them is imported inside its functions.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

_TASK_POLL = 0.05
_SHORT_NAP = 0.05
_PATIENCE = 1.05


def _main(arguments: list[str]) -> None:
    address, *rest = arguments
    from flwr.supercore.app_utils import start_parent_process_monitor
    from flwr.supernode import start_client_internal
    from flwr.supernode.cli.flower_supernode import flower_supernode

    from flwr.supercore.inflatable import inflatable_utils as u
    for f in (u.pull_objects, u.pull_and_inflate_object_from_tree):
        f.__kwdefaults__["initial_backoff"] = 0.05
    supernode = os.getpid()
    if os.fork() == 0:
        _work(address, supernode)
    start_parent_process_monitor(os.getppid())
    start_client_internal.time = SimpleNamespace(sleep=_Pace().sleep)  # type: ignore[attr-defined]
    sys.argv = ["flower-supernode", *rest]
    flower_supernode()


class _Pace:
    def __init__(self) -> None:
        self._nap = _SHORT_NAP

    def sleep(self, seconds: float) -> None:
        if seconds < 1:
            self._nap = _SHORT_NAP
            time.sleep(_SHORT_NAP)
        else:
            time.sleep(min(self._nap, seconds))
            self._nap *= _PATIENCE


def _work(address: str, supernode: int) -> None:
    import httpx
    from flwr.proto.runtime_pb2 import AcquireTaskRequest
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
    from flwr.supercore.runtime import RuntimeHttpClient
    from flwr.supernode.runtime.run_clientapp import run_clientapp

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    version = RuntimeVersionHttpInterceptor(component_name="SuperExec")
    client = RuntimeHttpClient.from_server_address(address, True, None, [version])
    request = AcquireTaskRequest(supported_task_types=["flwr-clientapp"])
    while os.getppid() == supernode:
        try:
            token = client.AcquireTask(request).token
        except httpx.TransportError:
            token = ""
        if token and os.fork() == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            import numpy
            numpy.random.seed()
            run_clientapp(address, token, insecure=True, parent_pid=supernode)
        time.sleep(_TASK_POLL)
    os._exit(0)


if __name__ == "__main__":
    _main(sys.argv[1:])
