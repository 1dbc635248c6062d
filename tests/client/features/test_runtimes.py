"""The fastest way that agrees with eager is taken; one that is made wrong on purpose never is."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from client.features import runtimes  # noqa: E402
from client.features.runtimes import EAGER, Runtimes, candidates, cosine  # noqa: E402
from common.encoders.base import Settings, Shape, find  # noqa: E402
from common.serialization import canonical, parse  # noqa: E402

CPU = torch.device("cpu")
ENCODER = find("resnet").build(Shape(1, (32, 32)), Settings(16)).eval()
BATCH = (torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2048 - 1024,)
EXPECTED = ENCODER(*BATCH).detach().numpy()


def test_cosine_by_hand() -> None:
    one = np.array([[1, 0], [3, 4], [0, 0]], np.float32)
    assert cosine(one, np.array([[2, 0], [4, 3], [0, 0]], np.float32)) == pytest.approx(24 / 25)
    assert cosine(one, one) == 1
    assert cosine(one, np.full((3, 2), np.nan, np.float32)) == -1
    assert cosine(one, np.array([[1, 0], [3, 4], [0, 1]], np.float32)) == 0


@pytest.mark.parametrize("name", sorted(candidates(ENCODER, BATCH, CPU, 0.0)))
def test_every_way_says_the_same(name: str) -> None:
    run = candidates(ENCODER, BATCH, CPU, 0.0)[name]()
    assert cosine(EXPECTED, run(BATCH)) >= runtimes.CLOSE


def test_openvino_says_the_same() -> None:
    pytest.importorskip("openvino")
    run = runtimes._openvino(ENCODER, BATCH, "f32")
    assert np.abs(run(BATCH) - EXPECTED).max() < 1e-4


def faked(monkeypatch: pytest.MonkeyPatch, **ways: object) -> None:
    monkeypatch.setattr(runtimes, "candidates", lambda *_: {name: lambda way=way: way for name, way in ways.items()})


def fastest(file: Path, rows: int = 10**9) -> np.ndarray:
    return Runtimes(file).fastest(ENCODER, "digest", BATCH, CPU, rows)(BATCH)


def test_a_faster_way_is_taken_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = EXPECTED * np.float32(1.01)
    faked(monkeypatch, fast=lambda _: close)
    assert fastest(tmp_path / "known.json") is close
    assert list(parse((tmp_path / "known.json").read_bytes()).values()) == ["fast"]
    monkeypatch.setattr(runtimes, "_measured", lambda *_: pytest.fail("measured again"))
    assert fastest(tmp_path / "known.json") is close


@pytest.mark.parametrize("wrong", [EXPECTED[:, ::-1], EXPECTED + 1e9, EXPECTED * np.nan, EXPECTED[:2]])
def test_a_wrong_way_is_not_taken_and_the_log_says_so(
    wrong: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faked(monkeypatch, wrong=lambda _: wrong)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(fastest(tmp_path / "known.json"), EXPECTED)
    assert "embedding by wrong differs from eager" in caplog.text
    assert list(parse((tmp_path / "known.json").read_bytes()).values()) == [EAGER]


def test_a_way_that_has_become_wrong_is_noticed_on_the_first_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faked(monkeypatch, way=lambda _: EXPECTED.copy())
    fastest(tmp_path / "known.json")
    known = parse((tmp_path / "known.json").read_bytes())
    (tmp_path / "known.json").write_bytes(canonical(dict.fromkeys(known, "way")))
    faked(monkeypatch, way=lambda _: EXPECTED[::-1].copy())
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(fastest(tmp_path / "known.json"), EXPECTED)
    assert "differs from eager" in caplog.text


def test_a_way_that_fails_is_told_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> np.ndarray:
        raise RuntimeError("patient 4711")

    faked(monkeypatch, broken=broken)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(fastest(tmp_path / "known.json"), EXPECTED)
    assert "embedding by broken fails (RuntimeError)" in caplog.text
    assert "4711" not in caplog.text


def test_little_work_is_not_worth_measuring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, way=lambda _: pytest.fail("tried"))
    np.testing.assert_array_equal(fastest(tmp_path / "known.json", rows=4), EXPECTED)
    assert not (tmp_path / "known.json").exists()


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"x": []}', b"\xff"])
def test_a_damaged_record_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    faked(monkeypatch, fast=lambda _: EXPECTED.copy())
    (tmp_path / "known.json").write_bytes(content)
    np.testing.assert_array_equal(fastest(tmp_path / "known.json"), EXPECTED)
    assert "fast" in parse((tmp_path / "known.json").read_bytes()).values()


@pytest.mark.parametrize("changed", ["processor", "torch", "machine"])
def test_another_machine_or_library_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    faked(monkeypatch, fast=lambda _: EXPECTED.copy())
    fastest(tmp_path / "known.json")
    if changed == "processor":
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "another"})
    elif changed == "torch":
        monkeypatch.setattr(torch, "__version__", "0.0")
    else:
        monkeypatch.setattr(runtimes.platform, "node", lambda: "another")
    fastest(tmp_path / "known.json")
    assert len(parse((tmp_path / "known.json").read_bytes())) == 2


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_f": True, "avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_imitated_bfloat16_does_not_count(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert runtimes.has_bfloat16(CPU) is expected
