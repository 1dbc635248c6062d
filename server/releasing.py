"""The models of a run as files: plain XGBoost models, and weights with what is needed to build their network."""

from __future__ import annotations

from pathlib import Path

from common.audit.event import Event, Kind
from common.audit.log import AuditLog
from common.boosting.model import to_xgboost_json
from common.plan import Repetition
from common.serialization import canonical, digest, write_atomic
from server.results import Released
from server.stages.study import Study, chain_name
from server.training import Repetitions


def release(study: Study, folder: Path, log: AuditLog, run: str, repetitions: Repetitions) -> tuple[Released, ...]:
    """Write every model; audited before it is there."""
    if study.plan.encoders:
        write_atomic(folder / "columns.json", canonical({name: list(found) for name, found in study.columns.items()}))
    released = []
    for repetition, trained in repetitions.items():
        for label, models in trained.models.items():
            for name, model in models.items():
                content, trees = to_xgboost_json(model), len(model.trees)
                released.append(
                    _write(folder, log, run, name, label, study.named(label), repetition, content, "json", trees)
                )
        for name, found in trained.networks.items():
            weights = study.blobs.get(found)
            released.append(_write(folder, log, run, name, "", "", repetition, weights, "safetensors", 0))
    return tuple(released)


def _write(
    folder: Path,
    log: AuditLog,
    run: str,
    name: str,
    label: str,
    named: str,
    repetition: Repetition,
    content: bytes,
    ending: str,
    trees: int,
) -> Released:
    file = f"{chain_name(name.replace('/', '-').replace(' ', '-'), repetition, named)}.{ending}"
    found = digest(content)
    log.append(Event(Kind.MODEL_RELEASED, {"run": run, "file": file, "digest": found}))
    write_atomic(folder / file, content)
    return Released(
        name=name,
        label=label,
        seed=repetition.seed,
        fold=repetition.fold,
        file=file,
        digest=found,
        trees=trees,
        bytes=len(content),
    )
