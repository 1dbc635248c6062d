"""As ``crd8``, but chronic obstructive asthma (ICD-9-CM 493.2x) is COPD as well as asthma."""

from __future__ import annotations

from common.clinical.crd import by_codes

TASK = by_codes("crd8_overlap", "Chronic respiratory diseases, obstructive asthma as COPD, too", like="crd8")
