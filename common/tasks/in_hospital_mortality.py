"""Does the patient leave the hospital alive? Asked after the first day in intensive care."""

from __future__ import annotations

from common.tasks.base import Task

TASK = Task(
    name="in_hospital_mortality",
    title="In-hospital mortality",
    label="died in hospital",
    unit="ICU stay",
    prediction_time="24 hours after admission to the unit, or when the patient leaves it if that is sooner",
    horizon_hours=24.0,
)
