"""A coordinator that stops before a fact is kept, as one that is killed does."""

from __future__ import annotations

from typing import Any

import pytest

from server.checkpoints import Checkpoint


class Stop(Exception):
    """Ends a run as a kill does."""


def run_until(key: str, trial: Any) -> None:
    """Run a trial up to the moment when this fact would be kept."""
    keep = Checkpoint.keep

    def keep_until(checkpoint: Checkpoint, name: str, fact: Any) -> None:
        if name == key:
            raise Stop
        keep(checkpoint, name, fact)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "keep", keep_until)
        with pytest.raises(Stop):
            trial.run()
