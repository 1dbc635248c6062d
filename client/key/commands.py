"""The commands ``fedward-client key``."""

from __future__ import annotations

from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from common import command_line

KitFolder = Annotated[Path, typer.Argument(help="The site's folder, with site.toml in it.")]

app = typer.Typer(no_args_is_help=True, help="See, change or destroy the key that encrypts what a site derives.")


@app.command()
def show(folder: KitFolder) -> None:
    """Tell which key the site has, where it comes from, and how many files are under it."""
    from client.key.changing import show as look

    key = look(folder)
    table = Table(title="Key of the site", show_header=False)
    table.add_row("key", key.identity or "none yet: it is made when the site is started")
    table.add_row("from", key.origin + ("" if key.present or not key.identity else ", which is gone"))
    table.add_row("files under it", f"{key.files:,}")
    if key.others:
        table.add_row("files under other keys", f"{key.others:,}")
    if key.interrupted:
        table.add_row("change of the key", "interrupted: run 'fedward-client key rotate' again")
    command_line.console().print(table)


@app.command()
def rotate(
    folder: KitFolder,
    before: Annotated[
        list[str] | None, typer.Option(help="Where a command prints the key: the one for the key so far; word by word.")
    ] = None,
) -> None:
    """Change the key: every file is put under a new one, the old one opens nothing any more. The site must not run.

    Interrupted, it is asked for again and goes on.
    """
    from client.key.changing import rotate as change

    changed = change(folder, getpass, before or ())
    command_line.console().print(f"{changed:,} files put under the new key; copies of the old one are worthless")


@app.command()
def shred(
    folder: KitFolder,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy the key: nothing the site has encrypted can be opened again, by anybody. The data itself stays."""
    from client.key.changing import shred as destroy
    from client.settings import read

    name = read(folder / "site.toml").name
    if not yes and typer.prompt(f"Type the site's name, {name}, to destroy its key") != name:
        raise typer.Abort
    lost = destroy(folder)
    command_line.console().print(
        f"the key is destroyed: {lost:,} files are unreadable for good; delete copies of it, too"
    )
