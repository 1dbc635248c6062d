"""The Flower ServerApp: parse, run, nothing else."""

from __future__ import annotations

import os

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from server.running import execute
from server.settings import from_environment, parse_run

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the plan that the run configuration carries."""
    execute(grid, parse_run(context.run_config), from_environment(os.environ))
