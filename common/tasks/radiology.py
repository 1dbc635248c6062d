"""What does the film show? The 14 observations of the CheXpert labeller.

The radiology task of MedMod (Elsharief et al., PMLR 287, 2025). MedMod takes anteroposterior films during
intensive care; here every frontal film counts, and those during a stay bring its records up to the film.
"""

from __future__ import annotations

from common.clinical.findings import CHEXPERT, radiology

TASK = radiology("radiology", "Radiology findings (CheXpert)", CHEXPERT)
