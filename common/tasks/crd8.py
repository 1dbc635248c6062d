"""Which of eight chronic respiratory diseases does the patient have? Valid clinically; the study's default.

The eight stand in the World Health Organization's table of chronic respiratory diseases; which codes mean
them is in `common/codes/crd.json`. The patient, the film and the table: :mod:`common.clinical.crd`.
"""

from __future__ import annotations

from common.clinical.crd import by_codes

TASK = by_codes("crd8", "Chronic respiratory diseases")
