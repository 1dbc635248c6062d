"""The coordinator's SuperLink process, and the connection to it.

``launch`` runs this same file as a child process (``python server/launching.py``), which is
Flower's ``flower-superlink`` with three changes: it does not wait half a minute for idle TLS
connections before it leaves; a ServerApp is forked from it, looks for replies' content every
50 ms where Flower waits a second or more, and does not outlive it; and all of them leave when
the launcher is gone, however that ended. Two ServerApps must never write to one run.

The child must not import any of the project's packages: a ServerApp would then run the code
that is installed instead of the code that was submitted. So those are imported inside functions.

The SuperLink runs in a folder of its own, with its own ``FLWR_HOME``: Flower imports an app
from the working directory of its daemon before it looks into the bundle that was submitted.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flwr.supercore.control import ControlHttpClient

CONNECTION = "fedward"
_READY_WITHIN = 60.0
_TASK_POLL = 0.5
_CONTENT_POLL = 0.05
_FLOWER_ENVIRONMENT = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}


def launch(
    folder: Path,
    *,
    environment: Mapping[str, str],
    host: str = "127.0.0.1",
    ready: Callable[[str], None] = lambda _address: None,
) -> None:
    """Run the SuperLink of a provisioned folder until SIGTERM or SIGINT; main thread only.

    Parameters
    ----------
    folder : Path
        The coordinator's folder, see :mod:`server.provisioning`.
    environment : Mapping[str, str]
        Further variables for the SuperLink, which each ServerApp inherits.
    host : str
        IPv4 address to listen on. Anybody who reaches the port can submit code, so anything
        but loopback belongs behind a gateway that asks for client certificates.
    ready : Callable[[str], None]
        Called with ``host:port`` once every provisioned site is admitted.

    Raises
    ------
    ConfigurationError
        The folder is not provisioned.
    DeploymentError
        The SuperLink did not start, or ended by itself.
    """
    from common.exceptions import DeploymentError
    from server.provisioning import read_address, split_address

    folder = folder.resolve()
    port = split_address(read_address(folder))[1]
    process = _start(folder, environment, host, port)
    stopping = threading.Event()

    def stop(*_signal: object) -> None:
        stopping.set()
        process.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        if _prepare(folder, process):
            ready(f"{host}:{port}")
        status = process.wait()
    finally:
        process.terminate()
        process.wait()
    if not stopping.is_set():
        raise DeploymentError(
            f"the SuperLink ended by itself with status {status}; see {_home(folder) / 'superlink.log'}"
        )


def connect(folder: Path) -> ControlHttpClient:
    """Open a client of the SuperLink that was launched for a folder; close it after use.

    Raises
    ------
    DeploymentError
        Nothing was launched for this folder yet.
    """
    from flwr.supercore.control import ControlHttpClient
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor

    from common.exceptions import DeploymentError

    file = _home(folder) / "flower" / "config.toml"
    try:
        connection = tomllib.loads(file.read_text(encoding="utf-8"))["superlink"][CONNECTION]
    except OSError as error:
        raise DeploymentError(f"no coordinator was launched for {folder}") from error
    return ControlHttpClient.from_server_address(
        server_address=connection["address"],
        insecure=False,
        root_certificates=Path(connection["root-certificates"]).read_bytes(),
        interceptors=[RuntimeVersionHttpInterceptor(component_name="flwr CLI")],
    )


def reason(error: Exception) -> str:
    """Return Flower's own sentence from an error response, when there is one."""
    import httpx
    from flwr.supercore.error import FlowerError

    if isinstance(error, httpx.HTTPStatusError) and (known := FlowerError.from_json(error.response.text)):
        return str(known.message)
    return str(error)


def _home(folder: Path) -> Path:
    return folder / "superlink"


def _start(folder: Path, environment: Mapping[str, str], host: str, port: int) -> subprocess.Popen[bytes]:
    from common.serialization import write_atomic

    home = _home(folder)
    for needed in (home / "flower", home / "work"):
        needed.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(home / "worker.secret", secrets.token_bytes(32))
    local = "127.0.0.1" if host == "0.0.0.0" else host
    _write_connection(folder, local, port)
    return subprocess.Popen(
        [
            *(sys.executable, "-P", __file__, str(os.getpid()), f"{local}:{port}", str(folder)),
            *_arguments(folder, host, port),
        ],
        cwd=home / "work",
        env={**os.environ, **_FLOWER_ENVIRONMENT, **environment, "FLWR_HOME": str(home / "flower")},
        umask=0o077,
    )


def _arguments(folder: Path, host: str, port: int) -> list[str]:
    home = _home(folder)
    values = {
        "--ssl-ca-certfile": folder / "ca.crt",
        "--ssl-certfile": folder / "server.crt",
        "--ssl-keyfile": folder / "server.key",
        "--host": host,
        "--port": port,
        "--database": home / "superlink.sqlite",
        "--log-file": home / "superlink.log",
        "--isolation": "process",
        "--superexec-auth-secret-file": home / "worker.secret",
    }
    flags = ["--enable-supernode-auth", "--disable-runtime-dependency-installation"]
    return [*flags, *(str(part) for pair in values.items() for part in pair)]


def _write_connection(folder: Path, host: str, port: int) -> None:
    """Write the connection where ``flwr`` finds it under this ``FLWR_HOME``."""
    from common.serialization import write_atomic

    text = (
        f"[superlink]\ndefault = {json.dumps(CONNECTION)}\n\n[superlink.{CONNECTION}]\n"
        f"address = {json.dumps(f'{host}:{port}')}\n"
        f"root-certificates = {json.dumps(str(folder / 'ca.crt'), ensure_ascii=False)}\n"
    )
    write_atomic(_home(folder) / "flower" / "config.toml", text.encode())


def _prepare(folder: Path, process: subprocess.Popen[bytes]) -> bool:
    """Register the sites that a SuperLink does not know yet; False if it ended before it answered.

    Runs that it knows from before have lost their ServerApp, so they are stopped.
    """
    import httpx
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
    from flwr.proto.control_pb2 import ListRunsRequest, RegisterNodeRequest, StopRunRequest

    from common.exceptions import DeploymentError

    client = connect(folder)
    known = _registered_keys(client, process)
    if known is None:
        return False
    for run_id, run in client.ListRuns(ListRunsRequest()).run_dict.items():
        if run.status.status != "finished":
            client.StopRun(StopRunRequest(run_id=run_id))
    for file in sorted((folder / "nodes").glob("*.pub")):
        key = load_ssh_public_key(file.read_bytes()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if key not in known:
            try:
                client.RegisterNode(RegisterNodeRequest(public_key=key, name=file.stem))
            except httpx.HTTPError as error:
                raise DeploymentError(f"site {file.stem} could not be registered: {reason(error)}") from error
    client.close()
    return True


def _registered_keys(client: ControlHttpClient, process: subprocess.Popen[bytes]) -> set[bytes] | None:
    import httpx
    from flwr.proto.control_pb2 import ListNodesRequest

    from common.exceptions import DeploymentError

    deadline = time.monotonic() + _READY_WITHIN
    while process.poll() is None:
        try:
            return {node.public_key for node in client.ListNodes(ListNodesRequest()).nodes_info}
        except httpx.TransportError as error:
            if time.monotonic() > deadline:
                raise DeploymentError(f"the SuperLink did not answer within {_READY_WITHIN:.0f} s") from error
            time.sleep(0.05)
    return None


def _superlink(launcher: int, address: str, folder: Path, arguments: list[str]) -> None:
    import uvicorn
    from flwr.supercore.inflatable import inflatable_utils
    from flwr.superlink.cli import flower_superlink

    os.setsid()
    pull = inflatable_utils.pull_objects
    pull.__kwdefaults__ = {**(pull.__kwdefaults__ or {}), "initial_backoff": _CONTENT_POLL}
    superlink, workers = os.getpid(), os.fork()
    if workers == 0:
        _fork_server_apps(address, folder, superlink)

    def leave_with_the_others() -> None:
        while os.getppid() == launcher and os.waitpid(workers, os.WNOHANG) == (0, 0):
            time.sleep(0.2)
        os.kill(superlink, signal.SIGTERM)

    threading.Thread(target=leave_with_the_others, daemon=True).start()
    uvicorn.run = functools.partial(uvicorn.run, timeout_graceful_shutdown=1)
    sys.argv = ["flower-superlink", *arguments]
    flower_superlink()


def _fork_server_apps(address: str, folder: Path, superlink: int) -> None:
    """Fork a ServerApp for each run until the SuperLink is gone, then end those that are left."""
    import httpx
    from flwr.proto.runtime_pb2 import AcquireTaskRequest
    from flwr.supercore.constant import TaskType
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor, SuperExecAuthHttpInterceptor
    from flwr.supercore.runtime import RuntimeHttpClient
    from flwr.superlink.cli import flwr_serverapp

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    authentication = SuperExecAuthHttpInterceptor(
        master_secret=(_home(folder) / "worker.secret").read_bytes(),
        protected_methods={"/flwr.proto.Runtime/AcquireTask"},
    )
    version = RuntimeVersionHttpInterceptor(component_name="SuperExec")
    authority = folder / "ca.crt"
    client = RuntimeHttpClient.from_server_address(address, False, authority.read_bytes(), [version, authentication])
    request = AcquireTaskRequest(supported_task_types=[TaskType.SERVER_APP])
    while os.getppid() == superlink:
        try:
            token = client.AcquireTask(request).token
        except httpx.TransportError:
            token = ""
        if token and os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            given = ["--runtime-api-address", address, "--root-certificates", str(authority), "--token", token]
            sys.argv = ["flwr-serverapp", *given, "--parent-pid", str(superlink)]
            flwr_serverapp()
            sys.exit()
        time.sleep(_TASK_POLL)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    _superlink(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
