"""What does the film show? The 14 findings of NIH ChestX-ray14 (Wang et al., CVPR 2017)."""

from __future__ import annotations

from common.clinical.findings import NIH, radiology

TASK = radiology("radiology_nih", "Radiology findings (NIH)", NIH)
