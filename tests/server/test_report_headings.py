"""Names of columns: short words with hyphens are not broken, long ones may be, and nothing is markup."""

from __future__ import annotations

import pytest

from server.report import tables
from server.report.style import CSS


@pytest.mark.parametrize(
    ("heading", "shown"),
    [
        ("Federated gru-d", 'Federated <span class="whole">gru-d</span>'),
        ("hospital-1", '<span class="whole">hospital-1</span>'),
        ("Own local gru_d", "Own local gru_d"),
        ("Federated summaries-and-scores", "Federated summaries-and-scores"),
        ("<b>-x</b>", '<span class="whole">&lt;b&gt;-x&lt;/b&gt;</span>'),
        ("<b> a-b", '&lt;b&gt; <span class="whole">a-b</span>'),
    ],
)
def test_short_words_stay_whole(heading: str, shown: str) -> None:
    assert tables.unbroken(heading) == shown


def test_the_style_keeps_them_whole() -> None:
    assert ".whole { white-space: nowrap; }" in CSS
