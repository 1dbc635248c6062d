"""What all pages share: text on a shade can be read on every shade."""

from __future__ import annotations

import numpy as np
import pytest

from common.page_style import INK, ink_on, shade


def luminance(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb (WCAG 2)."""
    digits = "".join(2 * digit for digit in colour[1:]) if len(colour) == 4 else colour[1:]
    parts = np.array([int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)])
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: str, other: str) -> float:
    darker, brighter = sorted((luminance(one), luminance(other)))
    return (brighter + 0.05) / (darker + 0.05)


def test_contrast_by_hand() -> None:
    assert contrast("#000000", "#fff") == pytest.approx(21)


@pytest.mark.parametrize("share", np.linspace(0, 1, 41))
def test_text_on_a_shade_has_the_better_contrast(share: float) -> None:
    chosen, other = ink_on(share), {"#fff": INK, INK: "#fff"}[ink_on(share)]
    assert contrast(shade(share), chosen) > 3.5
    assert contrast(shade(share), chosen) > contrast(shade(share), other) - 0.3


def test_more_is_darker() -> None:
    assert np.all(np.diff([luminance(shade(share)) for share in np.linspace(0, 1, 41)]) < 0)
