"""Two runs of one plan compared: models, figures, logs."""

from __future__ import annotations

from common.audit.log import AuditLog
from common.audit.verify import verify_file
from common.audit.witness import export_heads, load_heads

WHOLE_ROWS = {"trees": {"learning_rate": 0.3, "max_depth": 3}}
"""Trees that draw neither rows nor columns, so that no seed tells them apart."""

EXCHANGES = 8  # admission, statistics, two and two rounds, local, evaluate


def models(simulation):
    return {path.name: path.read_bytes() for path in simulation.folder.glob("*-seed*.json")}


def figures(found):
    """Everything but time and bytes."""
    rounds = [
        (s.name, r.number, r.sites, r.missing, r.training_loss, r.held_out_loss) for s in found.stages for r in s.rounds
    ]
    return found.base_scores, found.sites, found.candidates, found.models, found.decisions, rounds


def assert_same(simulation, found, unbroken):
    whole, expected = unbroken
    assert models(simulation) == models(whole)
    assert len(models(whole)) == 5
    assert figures(found) == figures(expected)


def assert_logs_verify(simulation):
    """Each log by itself and against the heads that the other side holds."""
    coordinator = simulation.folder / "coordinator" / "audit.sqlite"
    with AuditLog(coordinator, "coordinator") as log:
        held = export_heads(log)
    for name, file in simulation.files.items():
        path = file.parent / "state" / "audit.sqlite"
        checked = verify_file(path, heads_held_elsewhere=load_heads(held, name))
        assert checked.ok, str(checked)
        assert checked.confirmed
        with AuditLog(path, name) as log:
            heads = load_heads(export_heads(log), "coordinator")
        assert verify_file(coordinator, heads_held_elsewhere=heads).ok
