"""Ways to run an encoder, the fastest of which is measured once a machine and must agree with the plain one.

=================  ====================================================================
eager              float32, as trained: what the others are compared with
channels last      the same, with the channels of films next to each other
bfloat16           that under autocast, where the device computes in it
compiled           that compiled, for work that takes much longer than compiling
openvino           float32, where OpenVINO is installed; films and volumes on the processor
openvino bfloat16  the same in bfloat16
=================  ====================================================================

The first batch of every extraction goes through eager too. Where an embedding's cosine with its own is below
:data:`CLOSE`, eager does all the work, and the log says so.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import os
import platform
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.room import enough_space
from common.serialization import canonical, digest_json, parse, write_atomic

log = logging.getLogger("fedward.client")

CLOSE = 0.999
"""Least cosine of an embedding with that of eager."""
EAGER, CHANNELS_LAST, BFLOAT16, COMPILED = "eager", "channels last", "bfloat16", "compiled"
_OPENVINO = {"openvino": "f32", "openvino bfloat16": "bf16"}
_CONVERTING, _COMPILING = 300.0, 900.0
"""Seconds of eager work from which on converting for OpenVINO, or compiling, is worth trying: both take long."""
_MEASURING = 30.0
"""Seconds of eager work from which on measuring is."""
_REPEATS = 2
_BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16")
"""Of processors: Intel's and AMD's, the last of ARM's."""
_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Of batches of films and of volumes, by dimensions."""

Inputs = tuple[Tensor, ...]
Run = Callable[[Inputs], NDArray[np.float32]]


class Runtimes:
    """What was measured before.

    Parameters
    ----------
    file : Path or None
        JSON: the fastest way by encoder, device and machine; no patient has any part in it. None is for eager alone:
        the first batch, and how many rows there are, then have no say in how all others are embedded.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file

    @property
    def eager_alone(self) -> bool:
        """Whether nothing but the encoder decides how it is run."""
        return self._file is None

    def fastest(self, encoder: nn.Module, identity: str, batch: Inputs, device: torch.device, rows: int) -> Run:
        """Make an encoder ready, the fastest way that agrees with eager on a batch.

        Parameters
        ----------
        encoder : Module
        identity : str
            Digest of its weights.
        batch : tuple of Tensor
            The first one; all others must have its shapes.
        device : torch.device
        rows : int
            How many rows are to be embedded.
        """
        eager = _eager(encoder, device)
        if self._file is None:
            return eager
        expected, seconds = _timed(eager, batch)
        work = seconds * rows / len(batch[0])
        ways = candidates(encoder, batch, device, work)
        key = digest_json([identity, [list(one.shape[1:]) for one in batch], sorted(ways), *_machine(device)])
        known = _read(self._file).get(key)
        if known is None and work > _MEASURING:
            measured = {EAGER: seconds}
            for name, way in ways.items():
                measured[name] = _measured(name, way, batch, expected)
            known = min(measured, key=lambda name: measured[name])
            with enough_space(self._file.name, self._file.parent):
                write_atomic(self._file, canonical({**_read(self._file), key: known}))
            told = ", ".join(f"{name} {len(expected) / taken:.1f}/s" for name, taken in measured.items())
            log.info("embedding by %s (%s)", known, told)
        if known is None or known not in ways:
            return eager
        return _checked(known, ways[known], batch, expected) or eager


def _read(file: Path) -> Mapping[str, str]:
    try:
        found = parse(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: str(name) for key, name in found.items()} if isinstance(found, dict) else {}


def candidates(encoder: nn.Module, batch: Inputs, device: torch.device, work: float) -> dict[str, Callable[[], Run]]:
    """Return how to make each way ready that this device has, besides eager; ``work`` is eager's, in seconds."""
    reduced = has_bfloat16(device)
    found: dict[str, Callable[[], Run]] = {CHANNELS_LAST: lambda: _run(encoder, batch, device, reduced=False)}
    if reduced:
        found[BFLOAT16] = lambda: _run(encoder, batch, device, reduced=True)
    if work > _COMPILING:
        found[COMPILED] = lambda: _run(encoder, batch, device, reduced=reduced, compiled=True)
    pixels = len(batch) == 1 and batch[0].dim() > 2
    if pixels and device.type == "cpu" and work > _CONVERTING and importlib.util.find_spec("openvino"):
        precisions = {name: precision for name, precision in _OPENVINO.items() if precision == "f32" or reduced}
        found |= {name: partial(_openvino, encoder, batch, precision) for name, precision in precisions.items()}
    return found


def cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Least cosine of two embeddings of one row; -1 where one is not finite, 1 of two zeros."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    if one.shape != other.shape or not np.isfinite(other).all():
        return -1.0
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    same = (one == other).all(axis=1)
    cosines = np.where(same, 1.0, (one * other).sum(axis=1) / np.where(lengths == 0, 1.0, lengths))
    return float(cosines.min(initial=1.0))


def _checked(name: str, way: Callable[[], Run], batch: Inputs, expected: NDArray[np.float32]) -> Run | None:
    """Make a way ready; None where it fails or differs from eager."""
    try:
        run = way()
        found = cosine(expected, run(batch))
    except Exception as error:  # compilers raise what they like; eager always works
        log.warning("embedding by %s fails (%s): eager instead", name, type(error).__name__)
        return None
    if found < CLOSE:
        log.warning("embedding by %s differs from eager, least cosine %.4f: eager instead", name, found)
        return None
    return run


def _measured(name: str, way: Callable[[], Run], batch: Inputs, expected: NDArray[np.float32]) -> float:
    run = _checked(name, way, batch, expected)
    return np.inf if run is None else _timed(run, batch)[1]


def _timed(run: Run, batch: Inputs) -> tuple[NDArray[np.float32], float]:
    """Run a batch once, then measure; the least seconds."""
    found, seconds = run(batch), np.inf
    for _ in range(_REPEATS):
        start = time.perf_counter()
        run(batch)
        seconds = min(seconds, time.perf_counter() - start)
    return found, seconds


def _eager(encoder: nn.Module, device: torch.device) -> Run:
    return _of(encoder.to(device).eval(), device, torch.contiguous_format, reduced=False)


def _run(encoder: nn.Module, batch: Inputs, device: torch.device, *, reduced: bool, compiled: bool = False) -> Run:
    layout = _LAYOUTS.get(batch[0].dim(), torch.contiguous_format)
    own: Any = copy.deepcopy(encoder).to(device).eval()
    own = own.to(memory_format=layout)
    return _of(torch.compile(own) if compiled else own, device, layout, reduced=reduced)


def _of(called: Any, device: torch.device, layout: torch.memory_format, *, reduced: bool) -> Run:
    def run(batch: Inputs) -> NDArray[np.float32]:
        given = (one.to(device) for one in batch)
        laid = (one.to(memory_format=layout) if one.dim() in _LAYOUTS else one for one in given)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=reduced):
            found: NDArray[np.float32] = called(*laid).float().cpu().numpy()
        return found

    return run


def _openvino(encoder: nn.Module, batch: Inputs, precision: str) -> Run:
    import openvino

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracing that it relies on
        model = openvino.convert_model(copy.deepcopy(encoder).cpu().eval(), example_input=batch[0])
    model.reshape(list(batch[0].shape))
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})

    def run(given: Inputs) -> NDArray[np.float32]:
        found: NDArray[np.float32] = np.array(compiled(given[0].numpy())[0], np.float32)
        return found

    return run


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 itself, rather than imitating it."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    has = torch.cpu.get_capabilities()  # oneDNN says yes to all AVX-512, where it may be imitated
    return any(has.get(name, False) for name in _BFLOAT16_UNITS)


def _machine(device: torch.device) -> list[object]:
    """Tell machines and libraries apart on which other ways may be the fastest; JSON values."""
    openvino = version("openvino") if importlib.util.find_spec("openvino") else ""
    threads = [os.cpu_count() or 1, torch.get_num_threads()]
    told = [device.type, platform.node(), *threads, torch.__version__, openvino]
    if device.type == "cuda":
        driver = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        return [*told, torch.cuda.get_device_name(device), *torch.cuda.get_device_capability(device), driver]
    has = torch.cpu.get_capabilities()
    return [*told, str(has.get("cpu_name", "")), *sorted(name for name, here in has.items() if here is True)]
