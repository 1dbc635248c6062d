"""The coordinator's command line: ``fedward-server``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from common import command_line
from server.tracking_command import track

FOLDER = "The coordinator's folder."
ServerFolder = Annotated[Path, typer.Argument(help=FOLDER)]
ServerOption = Annotated[Path, typer.Option(help=FOLDER)]
EXPIRES_SOON_DAYS = 30

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Coordinate federated studies: provision sites, launch the server, submit plans, prove what happened.",
)
app.add_typer(command_line.audit_app(lambda folder: (folder / "audit.sqlite", "coordinator")), name="audit")


@app.command()
def provision(
    folder: ServerFolder,
    site: Annotated[list[str], typer.Option(help="A site's name; repeat for each site.")],
    address: Annotated[
        str | None,
        typer.Option(help="host:port under which sites reach this coordinator.", show_default="127.0.0.1:18000"),
    ] = None,
    name: Annotated[list[str] | None, typer.Option(help="A further host name for the certificate.")] = None,
) -> None:
    """Create the certificate authority and one kit a site; later calls add sites and replace nothing."""
    from server.provisioning import is_loopback, read_address
    from server.provisioning import provision as make

    kits = make(folder, sites=site, clock=lambda: datetime.now(UTC), address=address, names=name or ())
    console = command_line.console()
    for kit in kits.values():
        console.print(f"kit: {kit}")
    reached = read_address(folder)
    console.print(f"sites reach this coordinator at {reached}")
    if is_loopback(reached):
        console.print(
            "these kits work on this machine only: for others, provision a new folder with --address host:port"
        )


@app.command()
def launch(
    folder: ServerFolder,
    host: Annotated[
        str, typer.Option(help="Where to listen. Anything but loopback belongs behind a gateway: see SECURITY.md.")
    ] = "127.0.0.1",
) -> None:
    """Run the aggregation server until stopped."""
    from server.launching import launch as run_superlink
    from server.provisioning import days_left
    from server.settings import of_folder

    console = command_line.console()
    days = days_left(folder, datetime.now(UTC))
    if days < EXPIRES_SOON_DAYS:
        ends = f"expires in {days} days" if days >= 0 else "has expired"
        console.print(f"the certificate {ends}: delete {folder / 'server.crt'}, provision and launch again")

    def ready(address: str) -> None:
        console.print(f"coordinator ready on {address}; stop with Ctrl-C")

    run_superlink(folder, environment=of_folder(folder.resolve()).environment(), host=host, ready=ready)


@app.command()
def submit(
    plan: Annotated[str, typer.Argument(help="A plan's TOML file, or the name of a shipped plan.")],
    server: ServerOption,
    sites: Annotated[str | None, typer.Option(help="Invite only these sites, separated by commas.")] = None,
    run: Annotated[str | None, typer.Option(help="Name of the run.", show_default="plan and time")] = None,
) -> None:
    """Start a study on the connected sites, wait for it; exit 1 when it fails."""
    from common.plan import read

    study = read(plan)
    if sites:
        study = study.inviting(tuple(sites.split(",")))
    name = run or f"{study.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    _follow(server, name, study.to_json())


@app.command()
def resume(
    run: Annotated[str, typer.Argument(help="Name of the run to go on with.")],
    server: ServerOption,
) -> None:
    """Go on with a run that was interrupted: finished rounds are not repeated, the model is the same."""
    from common.exceptions import CheckpointError
    from server.settings import check_run_name

    file = server / "runs" / check_run_name(run) / "plan.json"
    if not file.is_file():
        raise CheckpointError(f"no run {run} in {server / 'runs'}")
    _follow(server, run, file.read_text(encoding="utf-8"))


app.command()(track)


def _follow(server: Path, run: str, plan: str) -> None:
    from common.plan import from_json
    from server.following import follow
    from server.settings import RunRequest, of_folder

    request = RunRequest(run, from_json(plan), "deployment")
    follow(of_folder(server.resolve()), server, request, command_line.console())


def main() -> None:
    """Entry point."""
    command_line.run(app)


if __name__ == "__main__":
    main()
