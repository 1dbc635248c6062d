"""The command ``track``, the same for the coordinator and for a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common import command_line


def track(
    run: Annotated[Path, typer.Argument(help="The run's folder, with metrics.json in it.")],
    uri: Annotated[
        str | None,
        typer.Option(
            help="MLflow's tracking server or database, e.g. http://127.0.0.1:5000.",
            show_default="mlflow.db beside the runs",
        ),
    ] = None,
) -> None:
    """Export a finished run to MLflow: its plan, its figures by round and site, its models by their digests.

    Needs the extra "tracking". A run that is there already is left alone; a model is registered once a digest.

    To look at it: mlflow server --backend-store-uri sqlite:///runs/mlflow.db
    """
    from server.mlflow_export import track as export

    done = export(run, uri)
    console = command_line.console()
    console.print(f"{'exported to' if done.anew else 'is there already:'} {done.uri}, run {done.run}")
    for model in done.models:
        console.print(f"model {model}")
