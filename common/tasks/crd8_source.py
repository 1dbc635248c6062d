"""The eight diseases that a published study of films and records names, kept to the chest.

Arthritis is its inflammatory kinds, fracture that of the thoracic cage, cancer that of the lung; see
`common/codes/crd.json`. The patient, the film and the table: :mod:`common.clinical.crd`.
"""

from __future__ import annotations

from common.clinical.crd import by_codes

TASK = by_codes("crd8_source", "Diseases of the published study, kept to the chest")
