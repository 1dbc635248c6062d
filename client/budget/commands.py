"""The commands ``fedward-client budget``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from common import command_line

KitFolder = Annotated[Path, typer.Argument(help="The site's folder, with site.toml in it.")]

app = typer.Typer(no_args_is_help=True, help="See what privacy was spent, on what, and what is left.")


@app.command()
def show(folder: KitFolder) -> None:
    """Tell what all releases cost a patient together, and what is left of the budget in site.toml."""
    from client.budget.account import account
    from common.privacy.accountant import figure

    read = account(folder)
    table = Table(title=f"Privacy budget of {read.site}", show_header=False)
    table.add_row("epsilon spent", figure(read.spent))
    table.add_row(
        "epsilon left", "no budget set" if read.left is None else f"{read.left:.3g} of {read.budget.epsilon:g}"
    )
    table.add_row("delta", f"{read.budget.delta:g}")
    table.add_row("unit", "one patient, more or less")
    table.add_row("accountant", read.accountant)
    table.add_row("releases with noise", str(len(read.lines) - read.unprotected))
    table.add_row("releases without noise", _unprotected(read.unprotected, read.allowed_unprotected))
    command_line.console().print(table)


@app.command()
def history(
    folder: KitFolder,
    html: Annotated[Path | None, typer.Option(dir_okay=False, help="Write it there as a page with a picture.")] = None,
) -> None:
    """List every release, oldest first: when, for which plan and run, by which mechanism, and epsilon so far."""
    from datetime import UTC, datetime

    from client.budget.account import account
    from client.budget.page import render, when
    from common.privacy.accountant import figure
    from common.serialization import write_atomic

    read = account(folder)
    table = Table(title=f"Releases of {read.site}")
    for head in ("when (UTC)", "plan", "run", "for", "mechanism"):
        table.add_column(head)
    table.add_column("epsilon so far", justify="right")
    for line in read.lines:
        interrupted = "" if line.stored or line.unprotected else " (interrupted; counts)"
        what = (line.plan, line.run, line.purpose, line.mechanism + interrupted)
        table.add_row(when(line.time), *what, figure(line.after))
    console = command_line.console()
    console.print(table)
    if html:
        write_atomic(html, render(read, datetime.now(UTC).date()).encode())
        console.print(f"as a page: {html}")


def _unprotected(count: int, allowed: str) -> str:
    rule = {"allow": "allowed", "evaluation": "only evaluations are allowed", "refuse": "refused"}[allowed]
    return f"{count}: no epsilon bounds what these tell; {rule} from now on" if count else f"0; {rule}"
