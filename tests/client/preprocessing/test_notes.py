"""Notes: invented reports by hand, NegEx and feature hashing written a second time, and what must not matter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.cohorts.modalities import Texts
from client.preprocessing.mentions import STATUSES, concepts, in_sentence, mentions
from client.preprocessing.note_reading import FINDING, HISTORY, IGNORED, sections, sentences, vocabulary
from client.preprocessing.notes import hashed, term_counts

REPORT = """CHEST (PA AND LAT), 12/03/2150
INDICATION: 61 year old with COPD, r/o pneumonia. No fever.
COMPARISON: Film with effusion of 2149.
Family History: asthma
FINDINGS: The heart is mildly
 enlarged. No pleural effusion, pneumothorax, or focal consolidation; possible
atelectasis vs. pneumonia at the right base, 1.5 cm.

IMPRESSION:
1. Pneumonia cannot be excluded, but there is no evidence of heart failure.
2. Stable cardiomegaly
"""


def notes(*rows: Sequence[str]) -> Texts:
    texts = [text for row in rows for text in row]
    last = np.cumsum([len(row) for row in rows], dtype=np.int64)
    stored = np.empty(len(texts), object)
    stored[:] = texts
    kind, time = np.full(len(texts), "radiology"), np.arange(len(texts), dtype=np.float64)
    return Texts(last - np.array([len(row) for row in rows], np.int64), last, kind, stored, time)


# --- sections and sentences


def test_a_report_is_cut_at_its_headings() -> None:
    found = [(name, role, " ".join(text.split())[:12]) for name, role, text in sections(REPORT)]
    assert found == [
        ("other", FINDING, "CHEST (PA AN"),
        ("indication", HISTORY, "61 year old "),
        ("comparison", IGNORED, "Film with ef"),
        ("others", IGNORED, "asthma"),
        ("findings", FINDING, "The heart is"),
        ("impression", FINDING, "1. Pneumonia"),
    ]


def test_an_unknown_heading_in_capitals_ends_a_section_and_other_colons_do_not() -> None:
    text = "HISTORY: asthma\nNurse: none\nSIGNED OFF: nobody\nFindings : clear"
    assert [(name, text.strip()) for name, _, text in sections(text)] == [
        ("history", "asthma\nNurse: none"),
        ("other", "nobody"),
        ("findings", "clear"),
    ]
    assert list(sections(" \n ")) == []


def test_sentences_by_hand() -> None:
    text = "Seen by Dr. Roe vs. 2.5 cm; no\nchange.Same line. - item\n- two:\n\nlast É.  ..."
    assert [words for _, words in sentences(text)] == [
        ["seen", "by", "dr", "roe", "vs", "0", "cm"],
        ["no", "change", "same", "line"],
        ["item"],
        ["two"],
        ["last", "é"],
    ]


@given(st.text(max_size=200))
def test_every_text_can_be_read_and_no_digit_is_a_word(text: str) -> None:
    for _, words in sentences(text):
        assert words
        for word in words:
            assert word == "0" or not any(letter.isdecimal() for letter in word)
    list(mentions(text))


# --- concepts and their status


def test_a_report_by_hand() -> None:
    assert list(mentions(REPORT)) == [
        ("copd", "history"),
        ("pneumonia", "uncertain"),
        ("fever", "absent"),
        ("cardiomegaly", "present"),
        ("pleural_effusion", "absent"),
        ("pneumothorax", "absent"),
        ("consolidation", "absent"),
        ("atelectasis", "uncertain"),
        ("pneumonia", "uncertain"),
        ("pneumonia", "uncertain"),
        ("heart_failure", "absent"),
        ("cardiomegaly", "present"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pneumonia.", "pneumonia present"),
        ("Nodules in both lungs", "lung_lesion present"),
        ("No pneumonia", "pneumonia absent"),
        ("Denies cough or fever", "cough absent, fever absent"),
        ("Effusions are not seen", "pleural_effusion absent"),
        ("Pneumonia has resolved", "pneumonia absent"),
        ("No fever but cough", "fever absent, cough present"),
        ("Cough, although no fever", "cough present, fever absent"),
        ("No significant change in the effusion", "pleural_effusion present"),
        ("Known COPD, no pneumonia", "copd history, pneumonia absent"),
        ("No history of asthma", "asthma absent"),
        ("History of asthma", "asthma history"),
        ("Possible early pneumonia", "pneumonia uncertain"),
        ("Pneumonia is not excluded", "pneumonia uncertain"),
        ("Cannot exclude pneumothorax", "pneumothorax uncertain"),
        ("No acute cardiopulmonary process", "no_acute_process present"),
        ("Lungs are clear", "clear_lungs present"),
        ("Subcutaneous emphysema", "pneumomediastinum present"),
        ("Heart failure; failure of the test", "heart_failure present"),
        ("Effusive praise", ""),
    ],
)
def test_sentences_with_one_meaning(text: str, expected: str) -> None:
    assert ", ".join(f"{concept} {status}" for concept, status in mentions(text)) == expected


@pytest.mark.parametrize(("between", "status"), [(0, "absent"), (5, "absent"), (6, "present")])
def test_a_cue_reaches_over_five_words(between: int, status: str) -> None:
    for words in (["no", *["x"] * between, "asthma"], ["asthma", *["x"] * between, "unlikely"]):
        assert list(in_sentence(words)) == [("asthma", status)]


def test_a_concept_counts_as_one_word() -> None:
    text = "no chest pain and pleural effusion and congestive heart failure and asthma"
    assert [status for _, status in mentions(text)] == ["absent"] * 3 + ["present"]


CODE = {"n": "no", "a": "resolved", "p": "possible", "s": "is not excluded", "h": "known", "e": "but", "x": "table",
        "c": "asthma", "d": "pleural effusion"}  # fmt: skip
RULES = {
    "absent": (r"n[^e]{0,5}$", r"[^e]{0,5}a"),
    "uncertain": (r"p[^e]{0,5}$", r"[^e]{0,5}s"),
    "history": (r"h[^e]{0,5}$", r"(?!)"),
}


@given(st.text("napshexxxxcd", max_size=20))
def test_statuses_are_those_of_regular_expressions(coded: str) -> None:
    expected = []
    for place, code in enumerate(coded):
        if code in "cd":
            matches = (
                status
                for status, (before, after) in RULES.items()
                if re.search(before, coded[:place]) or re.match(after, coded[place + 1 :])
            )
            expected.append(({"c": "asthma", "d": "pleural_effusion"}[code], next(matches, "present")))
    assert list(in_sentence(" ".join(CODE[code] for code in coded).split())) == expected


def test_every_term_is_found_as_its_own_concept() -> None:
    for concept in vocabulary()["concepts"]:
        for term in concept["terms"]:
            assert list(in_sentence(term.split())) == [(concept["name"], "present")], term


def test_the_vocabulary_is_consistent() -> None:
    known = vocabulary()
    assert len(set(concepts())) == len(concepts())
    assert {section["role"] for section in known["sections"]} == {FINDING, HISTORY, IGNORED}
    assert set(known["cues"]) | {"present"} == set(STATUSES)
    terms = [term for concept in known["concepts"] for term in concept["terms"]]
    cues = [text for sides in known["cues"].values() for side in sides.values() for text in side]
    others = [*known["ends"], *known["no_cue"]]
    headings = [heading for section in known["sections"] for heading in section["headings"]]
    assert len(set(headings)) == len(headings)
    assert len(set(terms)) == len(terms)
    assert not set(terms) & {*cues, *others}
    assert not set(cues) & set(others)
    for text in (*terms, *cues, *others, *headings):
        assert re.fullmatch(r"[a-z]+( [a-z]+)*", text), text


# --- features


def test_counts_by_hand() -> None:
    found = term_counts(notes(["No asthma. Asthma. ASTHMA!", "possible asthma"], [], ["clear"]))
    assert found.names[:4] == tuple(f"note_no_acute_process_{status}" for status in STATUSES)
    asthma = [found.names.index(f"note_asthma_{status}") for status in ("absent", "uncertain", "history", "present")]
    assert found.values[0, asthma].tolist() == [1, 1, 0, 2]
    assert np.nansum(found.values) == 4
    assert np.isnan(found.values[1]).all()
    assert not found.values[2].any()
    assert found.values.dtype == np.float32


def test_rows_may_share_notes_and_own_none() -> None:
    texts = notes(["asthma", "cough", "asthma"])
    shared = Texts(np.array([0, 1, 3]), np.array([2, 3, 3]), texts.kind, texts.text, texts.time)
    column = term_counts(shared).names.index("note_asthma_present")
    assert term_counts(shared).values[:2, column].tolist() == [1, 1]
    separate = notes(["asthma", "cough"], ["cough", "asthma"], [])
    np.testing.assert_array_equal(term_counts(shared).values, term_counts(separate).values)
    np.testing.assert_array_equal(hashed(shared, 64).toarray(), hashed(separate, 64).toarray())


def test_without_any_note_there_is_nothing() -> None:
    for empty in (notes([], []), notes()):
        assert np.isnan(term_counts(empty).values).all()
        assert hashed(empty, 16).toarray().shape == (len(empty.first), 16)
        assert hashed(empty, 16).nnz == 0


def place_and_sign(words: str, size: int) -> tuple[int, int]:
    number = int(blake2b(words.encode(), digest_size=8).hexdigest(), 16)
    return (number >> 1) % size, 1 if number & 1 else -1


def test_hashing_by_hand() -> None:
    found = hashed(notes(["A cough, a cough 12.5! Cough"], ["?"]), size=1000)
    expected = np.zeros(1000)
    counts = {"a": 2, "cough": 3, "0": 1, "a cough": 2, "cough a": 1, "cough 0": 1}
    for words, count in counts.items():
        place, sign = place_and_sign(words, 1000)
        expected[place] += sign * count
    assert np.count_nonzero(expected) == 6
    np.testing.assert_allclose(found.toarray()[0], expected / np.sqrt(4 + 9 + 1 + 4 + 1 + 1), rtol=1e-6)
    assert found.dtype == np.float32
    assert not found.toarray()[1].any()


words = st.lists(st.sampled_from(["lung", "clear", "no", "effusion", "the", "left", "é"]), max_size=12).map(" ".join)


@settings(max_examples=40)
@given(st.lists(words, min_size=1, max_size=4), st.integers(1, 3), st.sampled_from([1, 7, 64]))
def test_hashing_as_scikit_learn_counts(texts: list[str], longest: int, size: int) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.preprocessing import normalize

    expected = np.zeros((len(texts), size))
    if any(texts):
        counter = CountVectorizer(ngram_range=(1, longest), token_pattern=r"\w+")
        counts = counter.fit_transform(texts).toarray()
        for column, name in enumerate(counter.get_feature_names_out()):
            place, sign = place_and_sign(name, size)
            expected[:, place] += sign * counts[:, column]
    found = hashed(notes(*([text] for text in texts)), size, longest)
    np.testing.assert_allclose(found.toarray(), normalize(expected), rtol=1e-5, atol=1e-7)


def test_word_pairs_do_not_cross_sentences() -> None:
    joined, cut = (hashed(notes([text]), 10_000) for text in ("no cough", "no. Cough"))
    assert (joined.nnz, cut.nnz) == (3, 2)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_numbers_do_not_matter(one: int, other: int) -> None:
    first, second = (notes([f"Record {number} of {number}/12: no effusion, {number}.5 cm"]) for number in (one, other))
    np.testing.assert_array_equal(hashed(first).toarray(), hashed(second).toarray())
    np.testing.assert_array_equal(term_counts(first).values, term_counts(second).values)


@settings(max_examples=25)
@given(st.lists(st.lists(words, max_size=3), min_size=2, max_size=5), st.data())
def test_a_row_depends_on_its_own_notes_alone(rows: list[list[str]], data: st.DataObject) -> None:
    texts = notes(*rows)
    chosen = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1)))
    np.testing.assert_array_equal(term_counts(texts.select(chosen)).values, term_counts(texts).values[chosen])
    np.testing.assert_array_equal(hashed(texts.select(chosen), 64).toarray(), hashed(texts, 64).toarray()[chosen])


def test_what_is_printed_tells_no_text() -> None:
    texts = notes(["Mr Roe has asthma"])
    for shown in (repr(texts), repr(term_counts(texts)), repr(hashed(texts)), str(hashed(texts))):
        assert "roe" not in shown.lower()
