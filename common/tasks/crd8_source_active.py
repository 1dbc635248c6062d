"""As ``crd8_source``, but of fractures in ICD-10-CM only those under active treatment, not their aftercare."""

from __future__ import annotations

from common.clinical.crd import by_codes

TASK = by_codes(
    "crd8_source_active", "Diseases of the published study, kept to the chest; active fractures", like="crd8_source"
)
