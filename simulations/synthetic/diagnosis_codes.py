"""Which ICD codes a SYNTHETIC hospital gives each condition, in both versions, with their titles."""

from __future__ import annotations

Code = tuple[str, str]
"""A code without its point, and its title."""

CODES: dict[str, tuple[tuple[Code, ...], tuple[Code, ...]]] = {
    "copd": (
        (
            ("496", "Chronic airway obstruction, not elsewhere classified"),
            ("49121", "Obstructive chronic bronchitis with (acute) exacerbation"),
        ),
        (
            ("J449", "Chronic obstructive pulmonary disease, unspecified"),
            ("J441", "Chronic obstructive pulmonary disease with (acute) exacerbation"),
        ),
    ),
    "asthma": (
        (("49390", "Asthma, unspecified type, unspecified"),),
        (("J45909", "Unspecified asthma, uncomplicated"), ("J45901", "Unspecified asthma with (acute) exacerbation")),
    ),
    "bronchiectasis": (
        (("4940", "Bronchiectasis without acute exacerbation"),),
        (("J479", "Bronchiectasis, uncomplicated"),),
    ),
    "ild_fibrosis": (
        (("515", "Postinflammatory pulmonary fibrosis"), ("51631", "Idiopathic pulmonary fibrosis")),
        (("J8410", "Pulmonary fibrosis, unspecified"), ("J84112", "Idiopathic pulmonary fibrosis")),
    ),
    "pneumoconiosis": (
        (("502", "Pneumoconiosis due to other silica or silicates"), ("500", "Coal workers' pneumoconiosis")),
        (("J628", "Pneumoconiosis due to other dust containing silica"), ("J60", "Coalworker's pneumoconiosis")),
    ),
    "sarcoidosis": ((("135", "Sarcoidosis"),), (("D860", "Sarcoidosis of lung"),)),
    "pulmonary_hypertension": (
        (("4168", "Other chronic pulmonary heart diseases"),),
        (("I2720", "Pulmonary hypertension, unspecified"),),
    ),
    "sleep_apnoea": (
        (("32723", "Obstructive sleep apnea (adult)(pediatric)"),),
        (("G4733", "Obstructive sleep apnea (adult) (pediatric)"),),
    ),
    "diabetes": (
        (("25000", "Diabetes mellitus without mention of complication, type II or unspecified type"),),
        (("E119", "Type 2 diabetes mellitus without complications"),),
    ),
    "aids": (
        (("042", "Human immunodeficiency virus [HIV] disease"),),
        (("B20", "Human immunodeficiency virus [HIV] disease"),),
    ),
    "smoking": (
        (("3051", "Tobacco use disorder"), ("V1582", "Personal history of tobacco use")),
        (
            ("F17210", "Nicotine dependence, cigarettes, uncomplicated"),
            ("Z87891", "Personal history of nicotine dependence"),
        ),
    ),
    "cough": ((("7862", "Cough"),), (("R05", "Cough"),)),
    "failing": ((("4280", "Congestive heart failure, unspecified"),), (("I509", "Heart failure, unspecified"),)),
    "pneumonia": ((("486", "Pneumonia, organism unspecified"),), (("J189", "Pneumonia, unspecified organism"),)),
    "metastaticcancer": (
        (("1970", "Secondary malignant neoplasm of lung"),),
        (("C7800", "Secondary malignant neoplasm of unspecified lung"),),
    ),
    "hypertension": (
        (("4019", "Unspecified essential hypertension"),),
        (("I10", "Essential (primary) hypertension"),),
    ),
}
OTHERWISE: tuple[Code, Code] = (("07999", "Unspecified viral infection"), ("B349", "Viral infection, unspecified"))
"""Of an admission that would have no other; that of ICD-9 begins with 0, as codes do that were kept as text."""
