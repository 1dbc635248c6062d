from __future__ import annotations

import hashlib
import json
import struct

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.encoders.weights import check, digest, from_bytes, read, to_bytes
from common.exceptions import ModelError


def state():
    return {"b": torch.tensor([[1.0, -2.0]]), "a": torch.tensor(3), "c": torch.tensor([0.5], dtype=torch.bfloat16)}


def test_bytes_are_safetensors_and_come_back():
    raw = to_bytes(state())
    theirs, ours = safetensors.torch.load(raw), from_bytes(raw, state())
    for name, tensor in state().items():
        assert torch.equal(theirs[name], tensor)
        assert torch.equal(ours[name], tensor)
        assert ours[name].dtype == tensor.dtype
    assert to_bytes(dict(reversed(state().items()))) == raw


def test_a_template_without_memory_will_do():
    like = {name: tensor.to("meta") for name, tensor in state().items()}
    assert from_bytes(to_bytes(state()), like).keys() == like.keys()


def test_digest_by_hand():
    told = b'["w","F32",[2]]'
    expected = hashlib.sha256(struct.pack("<Q", len(told)) + told + struct.pack("<2f", 1.5, -2.0)).hexdigest()
    assert digest({"w": torch.tensor([1.5, -2.0])}) == expected


@given(st.sampled_from(["b", "a", "c"]), st.randoms())
def test_digest_tells_every_difference_but_the_order(name, random):
    names = list(state())
    random.shuffle(names)
    assert digest({each: state()[each] for each in names}) == digest(state())
    assert digest(state() | {name: state()[name] + 1}) != digest(state())
    assert digest(state() | {name: state()[name].reshape(-1, 1, 1)}) != digest(state())
    assert digest({each + "x" if each == name else each: tensor for each, tensor in state().items()}) != digest(state())


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ({"b": torch.zeros(1, 2), "a": torch.tensor(3)}, "size"),
        ({**state(), "d": torch.zeros(1)}, "size"),
        ({**state(), "b": torch.zeros(2, 1)}, "'b' is another type or shape"),
        ({**state(), "b": torch.zeros(1, 2, dtype=torch.int32)}, "'b' is another type or shape"),
        ({"a": state()["a"], "B": state()["b"], "c": state()["c"]}, "does not have, such as 'B'"),
        ({**state(), "b": torch.tensor([[torch.nan, 0.0]])}, "'b' holds a value that is not a finite number"),
        ({**state(), "c": torch.tensor([torch.inf], dtype=torch.bfloat16)}, "'c' holds a value"),
    ],
)
def test_what_does_not_fit_is_refused(other, problem):
    with pytest.raises(ModelError, match=problem):
        check(to_bytes(other), state())


def forged(header, payload=18):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(payload)


HEADER = {
    "a": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
    "b": {"dtype": "F32", "shape": [1, 2], "data_offsets": [8, 16]},
    "c": {"dtype": "BF16", "shape": [1], "data_offsets": [16, 18]},
}


def test_the_forged_header_is_right_when_nothing_is_changed():
    assert from_bytes(forged(HEADER), state()).keys() == HEADER.keys()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 2**60),
        forged(b"{" * 40),
        forged(b"[1, 2]"),
        forged(b'{"a": 1, "a": 2}'),
        forged(b"\xff\xfe"),
        forged({name: {} for name in HEADER}),
        forged(HEADER | {"c": {"dtype": "BF16", "shape": [1], "data_offsets": [8, 10]}}),
        forged(HEADER | {"c": {"dtype": "BF16", "shape": [1], "data_offsets": [16, 2**70]}}),
        forged(HEADER | {"b": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [8, 16]}}),
        forged(HEADER | {"__metadata__": {"x": "y"}}),
        forged(HEADER, payload=19),
        forged(b" " * 100_000),
    ],
    ids=range(14),
)
def test_malformed_bytes_are_refused_before_anything_is_allocated(raw, monkeypatch):
    monkeypatch.setattr("common.encoders.weights.load", lambda _: pytest.fail("allocated"))
    with pytest.raises(ModelError):
        check(raw, state())


def test_files_of_users_are_read(tmp_path):
    torch.save(state(), tmp_path / "weights.pth")
    (tmp_path / "weights.safetensors").write_bytes(to_bytes(state()))
    for name in ("weights.pth", "weights.safetensors"):
        assert digest(read(tmp_path / name)) == digest(state())


def test_a_pickled_model_is_not_executed(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(ModelError, match=r"model.state_dict\(\) on a machine where the file is trusted"):
        read(tmp_path / "model.pth")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 and no more"])
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_damaged_files_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError):
        read(tmp_path / name)


def test_missing_files_and_other_content_are_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path / "absent.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="no state dict"):
        read(tmp_path / "list.pth")
