"""A site's SuperNode process.

``start`` runs this same file as a child process (``python client/launching.py``), which is
Flower's ``flower-supernode`` with one repair, see :func:`_in_step`, and with its idle waits
shortened. They made an exchange of a trivial message with three sites last six seconds or more; it
lasts one to two like this:

- Flower asks the coordinator for work every 3 s. Here it asks soon after the last message, and
  ever more rarely, up to Flower's 3 s, while none comes. Whether a message needs a worker is asked at the same pace.
- Flower starts an interpreter for each message, which spends more than a second on importing
  Flower and XGBoost. Here the worker is forked from a process that has imported libraries and nothing else.
  It is a new process still, with no memory of the last message. It ends without Python's tidying up, which
  took longer than the answer.
- Flower unpacks the submitted code for each message, even when it is installed, and starts two programs a message
  to describe the machine for its telemetry, even when that is off. Here neither is done.
- Flower looks again after 1 s, 2 s, ... for the content of a message that is announced first.
  Here it looks again after 50 ms.
- Flower tries to reach a coordinator that is away every 20 s. Here it is every 5 s.

The child must not import any of the project's packages: a forked worker would then run the code
that is installed instead of the code that was submitted. So those are imported inside functions.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from client.kit import Kit
    from client.settings import SiteSettings

_PRELOADED = ("numpy", "pydantic", "duckdb", "xgboost", "torch")
"""Libraries every message needs; a forked worker has them already."""
_HEARTBEAT = 10
"""Seconds, the shortest Flower allows; after two missed ones the coordinator takes a site for gone."""
_TAKEN_FOR_ALIVE = 30.0
"""Seconds for which a coordinator may still refuse a site that was cut off, taking it for connected."""
_BUSY_WAIT = 0.05
_IDLE_WAIT = 1.0
_PATIENCE = 1.05
_RECONNECT_WITHIN = 5
_FLOWER_ENVIRONMENT = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}


def start(folder: Path, ask: Callable[[str], str] | None = None, tell: Callable[[str], object] = print) -> None:
    """Run the SuperNode of a kit until SIGTERM or SIGINT; main thread only.

    It keeps trying to reach the coordinator, and joins it again when it was restarted.

    Parameters
    ----------
    folder : Path
        The kit's folder, see :func:`client.kit.open_kit`.
    ask : callable, optional
        For the passphrase, when that is the site's key.
    tell : callable
        Shows a line to the person who starts it.

    Raises
    ------
    ConfigurationError
        The kit is incomplete.
    EncryptionError
        The site's key cannot be had.
    DeploymentError
        The SuperNode ended by itself: the coordinator refused its key, for example.
    """
    from client.keyring import at_work
    from client.kit import open_kit
    from client.settings import read

    kit = open_kit(folder)
    settings = read(kit.settings)
    with at_work(settings, kit.settings.parent):
        _run(kit, _key_for_workers(settings, kit.settings.parent, ask, tell))


def _key_for_workers(
    settings: SiteSettings, home: Path, ask: Callable[[str], str] | None, tell: Callable[[str], object]
) -> dict[str, str]:
    """Have the key once, in memory that the SuperNode and each worker inherit."""
    from client.keyring import open_key, same_disk
    from common.crypto.keys import leave_to_children

    key = open_key(settings, home, ask)
    if warning := same_disk(settings, home):
        tell(f"warning: {warning}")
    return leave_to_children(key)


def _run(kit: Kit, key: dict[str, str]) -> None:
    from common.exceptions import DeploymentError
    from common.serialization import write_atomic

    home = kit.state / "supernode"
    for needed in (home / "flower", home / "work"):
        needed.mkdir(parents=True, exist_ok=True, mode=0o700)
    node_config = f"site = {json.dumps(str(kit.settings), ensure_ascii=False)}\n"
    write_atomic(home / "node.toml", node_config.encode())
    write_atomic(home / "worker.secret", secrets.token_bytes(32))
    values = {
        "--superlink": kit.address,
        "--root-certificates": kit.certificate,
        "--auth-supernode-private-key": kit.key,
        "--node-config": home / "node.toml",
        "--superexec-auth-secret-file": home / "worker.secret",
    }
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, str(os.getpid()), *(str(part) for pair in values.items() for part in pair)],
        cwd=home / "work",
        env={**os.environ, **_FLOWER_ENVIRONMENT, **key, "FLWR_HOME": str(home / "flower")},
        umask=0o077,
        pass_fds=[int(descriptor) for descriptor in key.values()],
    )
    stopping = threading.Event()

    def stop(*_signal: object) -> None:
        stopping.set()
        process.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    status = process.wait()
    if not stopping.is_set():
        raise DeploymentError(f"the SuperNode of {kit.site} ended by itself with status {status}; see above")


class _Pace:
    """Stands in for ``time`` in Flower's loop, and paces ours; waits 5 % longer each time that nothing came."""

    def __init__(self) -> None:
        self._wait = _BUSY_WAIT

    def sleep(self, seconds: float) -> None:
        """Wait at most ``seconds``, which is below one only while a worker is at work."""
        self._wait = _BUSY_WAIT if seconds < 1 else self._wait * _PATIENCE
        time.sleep(min(self._wait, seconds))


def _supernode(launcher: int, arguments: list[str]) -> None:
    from flwr.supercore import heartbeat, telemetry
    from flwr.supercore.inflatable import inflatable_utils
    from flwr.supercore.retry import http_retry
    from flwr.supernode import fleet_http_connection, start_client_internal
    from flwr.supernode.cli.flower_supernode import flower_supernode
    from flwr.supernode.fleet_http_client import FleetHttpClient
    from flwr.supernode.runtime import run_clientapp

    os.setsid()
    for pull in (inflatable_utils.pull_objects, inflatable_utils.pull_and_inflate_object_from_tree):
        pull.__kwdefaults__ = {**(pull.__kwdefaults__ or {}), "initial_backoff": _BUSY_WAIT}
    FleetHttpClient.ActivateNode = _patient(FleetHttpClient.ActivateNode)  # type: ignore[method-assign]
    for module in (fleet_http_connection, heartbeat):
        module.HEARTBEAT_DEFAULT_INTERVAL = _HEARTBEAT  # type: ignore[attr-defined]
    loop: Any = start_client_internal
    loop._pull_and_store_message, loop._push_messages = _in_step(loop._pull_and_store_message, loop._push_messages)
    telemetry.create_event = lambda *_event: "disabled"
    start_client_internal.time = SimpleNamespace(sleep=_Pace().sleep)  # type: ignore[attr-defined,assignment]
    http_retry.MAX_RETRY_DELAY = _RECONNECT_WITHIN  # type: ignore[attr-defined]
    run_clientapp.install_from_fab = _once(run_clientapp.install_from_fab)  # type: ignore[attr-defined]
    host, port = "127.0.0.1", _free_port()
    sys.argv = ["flower-supernode", "--isolation", "process", "--host", host, "--port", str(port), *arguments]
    secret = Path(arguments[arguments.index("--superexec-auth-secret-file") + 1]).read_bytes()
    supernode, workers = os.getpid(), os.fork()
    if workers == 0:
        _fork_workers(f"{host}:{port}", secret, supernode)

    def leave_with_the_others() -> None:
        while os.getppid() == launcher and os.waitpid(workers, os.WNOHANG) == (0, 0):
            time.sleep(0.2)
        os.kill(supernode, signal.SIGTERM)

    threading.Thread(target=leave_with_the_others, daemon=True).start()
    flower_supernode()
    os._exit(1)  # it returns after an unforeseen error, and its web server would go on for ever


def _in_step(pull: Callable[..., Any], push: Callable[..., None]) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Make Flower's loop send the reply to the message it has just taken before it takes another.

    Flower takes a message, waits for any reply, sends it and goes on. When a run ends while its message is
    being taken, a worker answers that message later all the same, and from then on each reply goes out
    only with the next message: always one behind, for every run to come. Here the loop goes on sending
    until the message it took is answered.
    """
    taken = ""

    def pull_one(*, receive: Callable[[], Any], **others: Any) -> Any:
        def received() -> Any:
            nonlocal taken
            arrived = receive()
            taken = arrived[0].metadata.message_id if arrived else ""
            return arrived

        return pull(receive=received, **others)

    def push_until_answered(*, state: Any, **others: Any) -> None:
        push(state=state, **others)
        while taken in state.msg_store:  # Flower forgets a message with its reply
            push(state=state, **others)

    return pull_one, push_until_answered


def _once(install: Callable[..., Any]) -> Callable[..., Any]:
    """Leave out the installation of submitted code that is in its place; Flower would not replace it either."""
    from flwr.common.constant import APP_DIR, FAB_HASH_TRUNCATION
    from flwr.supercore.utils import get_flwr_home

    def missing_only(bundle: bytes, **others: Any) -> Any:
        digest = hashlib.sha256(bundle).hexdigest()[:FAB_HASH_TRUNCATION]
        installed = next((get_flwr_home() / APP_DIR).glob(f"*.{digest}"), None)
        return installed or install(bundle, **others)

    return missing_only


def _patient(activate: Callable[..., Any]) -> Callable[..., Any]:
    """Repeat Flower's request to be connected while the coordinator takes the last connection for alive."""
    import httpx
    from flwr.supercore.error import ApiErrorCode, FlowerError

    def repeated(client: object, request: object) -> Any:
        until = time.monotonic() + _TAKEN_FOR_ALIVE
        while True:
            try:
                return activate(client, request)
            except httpx.HTTPStatusError as error:
                known = FlowerError.from_json(error.response.text)
                refused = known is not None and known.code == ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED
                if not refused or time.monotonic() > until:
                    raise
            time.sleep(1)

    return repeated


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fork_workers(address: str, secret: bytes, supernode: int) -> None:
    """Fork a worker for each message until the SuperNode is gone, then end those that are left."""
    import httpx
    from flwr.proto.runtime_pb2 import AcquireTaskRequest
    from flwr.supercore.constant import TaskType
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor, SuperExecAuthHttpInterceptor
    from flwr.supercore.runtime import RuntimeHttpClient

    for library in _PRELOADED:
        if importlib.util.find_spec(library):  # torch is an extra
            importlib.import_module(library)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    authentication = SuperExecAuthHttpInterceptor(
        master_secret=secret, protected_methods={"/flwr.proto.Runtime/AcquireTask"}
    )
    client = RuntimeHttpClient.from_server_address(
        address, True, None, [RuntimeVersionHttpInterceptor(component_name="SuperExec"), authentication]
    )
    request, pace = AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP]), _Pace()
    while os.getppid() == supernode:
        try:
            token = client.AcquireTask(request).token
        except httpx.TransportError:
            token = ""
        if token and os.fork() == 0:
            _answer(address, token, supernode)
        pace.sleep(_BUSY_WAIT if token else _IDLE_WAIT)
    os.killpg(0, signal.SIGKILL)


def _answer(address: str, token: str, supernode: int) -> NoReturn:
    """Answer one message as a forked worker, and leave without taking apart all that was imported before the fork."""
    from flwr.supernode.runtime.run_clientapp import run_clientapp

    importlib.import_module("numpy").random.seed()  # or every worker would draw alike
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.dont_write_bytecode = False  # or each worker would compile the submitted code anew
    with contextlib.suppress(SystemExit):
        run_clientapp(address, token, insecure=True, parent_pid=supernode)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    _supernode(int(sys.argv[1]), sys.argv[2:])
