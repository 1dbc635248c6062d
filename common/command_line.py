"""What the three command lines have in common: true exit codes, and the audit commands.

Exit codes: 0 done, 1 refused or failed (the reason is on standard error), 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from common import extras
from common.exceptions import AuditError, FedwardError
from common.serialization import write_atomic

WEIGHTS = "A file of pretrained weights that the plan wants, as ENCODER=FILE; may be repeated."
Folder = Annotated[Path, typer.Argument(help="The coordinator's folder, or the site's kit with site.toml in it.")]


def console() -> Console:
    """Return a console that shows every text as it is: paths and names may hold what looks like markup."""
    return Console(soft_wrap=True, markup=False)


def run(app: typer.Typer, arguments: list[str] | None = None) -> None:
    """Run a command line; an error of ours or of the file system becomes one sentence and exit code 1.

    So does an extra that is not installed.
    """
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    try:
        with extras.required():
            app(arguments)
    except (FedwardError, OSError) as error:
        errors.print("error:", style="bold red", end=" ")
        errors.print(_sentence(error))
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("interrupted")
        sys.exit(130)


def _sentence(error: FedwardError | OSError) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def files_by_name(options: Sequence[str]) -> dict[str, Path]:
    """Read options such as "densenet121=FILE" (typer.BadParameter)."""
    found = {}
    for option in options:
        name, between, file = option.partition("=")
        if not (name and between and file) or name in found:
            raise typer.BadParameter(f"'{option}' is not ENCODER=FILE, each encoder once")
        found[name] = Path(file)
    return found


def audit_app(locate: Callable[[Path], tuple[Path, str]]) -> typer.Typer:
    """Build the ``audit`` commands of one side.

    Parameters
    ----------
    locate : callable
        From the folder a user names to the log's file and its owner.
    """
    app = typer.Typer(no_args_is_help=True, help="Read, verify and cross-check the audit log.")

    @app.command()
    def show(
        folder: Folder,
        last: Annotated[int, typer.Option(min=1, help="How many of the latest entries.")] = 50,
    ) -> None:
        """Print the latest entries, one line each."""
        from common.audit.log import AuditLog

        with AuditLog(*_existing(locate(folder))) as log:
            for entry in log.entries(after=max(0, log.head().sequence - last)):
                print(entry)  # noqa: T201 - plain text, so that it can be piped

    @app.command()
    def verify(
        folder: Folder,
        heads: Annotated[
            Path | None,
            typer.Option(
                exists=True,
                dir_okay=False,
                help="Heads of this log that another party holds: its 'audit heads' output.",
            ),
        ] = None,
    ) -> None:
        """Check every entry against the chain of hashes; exit 1 and name the first bad entry if there is one.

        Without --heads a cut-off end or a wholly rewritten log cannot be seen: ask the other side for theirs.
        """
        from common.audit.verify import verify_file
        from common.audit.witness import load_heads

        path, owner = _existing(locate(folder))
        held = load_heads(heads.read_bytes(), owner) if heads else {}
        outcome = verify_file(path, heads_held_elsewhere=held)
        print(outcome)  # noqa: T201
        if not outcome.ok or outcome.owner != owner:
            raise typer.Exit(1)

    @app.command("heads")
    def export(
        folder: Folder,
        to: Annotated[Path, typer.Option(dir_okay=False, help="File to write.")],
    ) -> None:
        """Write the heads this side holds of other parties' logs, for their auditors."""
        from common.audit.log import AuditLog
        from common.audit.witness import export_heads

        with AuditLog(*_existing(locate(folder))) as log:
            write_atomic(to, export_heads(log), mode=0o644)

    return app


def _existing(log: tuple[Path, str]) -> tuple[Path, str]:
    if not log[0].is_file():
        raise AuditError(f"no audit log at {log[0]}: nothing has happened here yet, or this is another folder")
    return log
