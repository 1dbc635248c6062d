"""What a frozen encoder says of every row, from the shelf as far as it is there."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.datasets.reading import progress
from client.features.runtimes import Run, Runtimes
from client.features.shelf import Kept, Shelf
from client.inputs.base import Input
from client.inputs.embedded import EmbeddedInput
from client.inputs.pixels import PixelInput
from client.preprocessing.ahead import ahead
from client.training.examples import Examples
from common import encoders
from common.encoders.network import Network
from common.encoders.weights import digest
from common.exceptions import ModelError
from common.network_stages import FeaturesStage
from common.serialization import digest as content_digest
from common.serialization import digest_json


class Means(NamedTuple):
    """What a site embeds with: where shards are kept, which ways are the fastest, and its device."""

    shelf: Shelf
    runtimes: Runtimes
    device: torch.device


SHARD = 512
"""Rows that are computed and kept as one; what is lost when a site is killed."""
BATCH = {"cpu": 16, "cuda": 256}
"""Rows at once of films and volumes; of what is smaller, a shard."""


def embed(
    examples: Examples, network: Network, modality: str, shelf: Shelf, runtimes: Runtimes, device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Embed all rows of one modality.

    A shard is kept by the encoder, its weights and code, and by what its rows are: of films the files, with size and
    times, and what prepares them; of all else the numbers themselves. Which way the encoder was run is not a part of
    it, as all ways agree (see :data:`client.features.runtimes.CLOSE`), but where eager alone may be.

    Returns
    -------
    values : (n, width) float32
        Zeros for rows without the modality.
    present : (n,) bool

    Raises
    ------
    ModelError
        The encoder gives a number that is not finite.
    """
    kind = ["eager"] if runtimes.eager_alone else []
    work = _Work(examples.inputs[modality], network, modality, runtimes, device)
    values = np.zeros((len(examples), network.widths[modality]), np.float32)
    present = np.zeros(len(examples), np.bool_)
    for start in range(0, len(examples), SHARD):
        rows = np.arange(start, min(start + SHARD, len(examples)))
        depends_on = ["embedding", *kind, work.identity, *work.depends_on(rows)]
        found = shelf.get(depends_on, partial(work.shard, rows))
        values[rows], present[rows] = found.values, found.present
        progress.current()(f"embedding {modality}", int(rows[-1]) + 1, len(examples))
    return values, present


def embed_all(examples: Examples, network: Network, means: Means) -> NDArray[np.float32]:
    """Embed every row as the network's head sees it; (n, W) float32, NaN where a row lacks a modality."""
    parts = []
    for modality in network.widths:
        given = examples.inputs[modality]
        if isinstance(given, EmbeddedInput):
            values, present = given.values, given.present
        else:
            values, present = embed(examples, network, modality, *means)
        parts.append(np.where(present[:, None], values, np.float32(np.nan)))
    return np.hstack(parts)


def features_of(stage: FeaturesStage, examples: Examples, network: Network, means: Means) -> NDArray[np.float32]:
    """Return what a features stage gives of every row: its embedding, or its scores.

    Returns
    -------
    (n, W) or (n, k) float32
        NaN where a row lacks a modality; of scores, where it lacks them all.
    """
    embedding = embed_all(examples, network, means)
    if stage.gives == "embedding":
        return embedding
    with torch.inference_mode():
        seen = torch.from_numpy(np.nan_to_num(embedding)).to(means.device)
        logits: NDArray[np.float32] = network.head.to(means.device)(seen).float().cpu().numpy()
    return np.where(np.isnan(embedding).all(axis=1, keepdims=True), np.float32(np.nan), logits)


class _Work:
    """An encoder that is made ready when the first shard is missing."""

    def __init__(self, given: Input, network: Network, modality: str, runtimes: Runtimes, device: torch.device) -> None:
        self._given, self._encoder = given, network.encoders[modality]
        self._width = network.widths[modality]
        self._runtimes, self._device = runtimes, device
        self._run: Run | None = None
        self.identity = _identity(self._encoder)
        self._size = BATCH[device.type] if isinstance(given, PixelInput) else SHARD

    def depends_on(self, rows: NDArray[np.int64]) -> list[object]:
        """List what the embeddings of some rows depend on besides the encoder; JSON values."""
        if isinstance(self._given, PixelInput):
            return self._given.depends_on(rows)
        tensors = {str(place): one for place, one in enumerate(self._given.batch(rows))}
        return [digest({**tensors, "present": torch.from_numpy(self._given.present[rows])})]

    def shard(self, rows: NDArray[np.int64]) -> Kept:
        """Embed some rows, the next batch being read while one is computed."""
        values, present = np.zeros((len(rows), self._width), np.float32), np.zeros(len(rows), np.bool_)
        starts = range(0, len(rows), self._size)
        batches = ahead(self._read, (rows[start : start + self._size] for start in starts), workers=1)
        for start, batch in zip(starts, batches, strict=True):
            tensors, has = batch
            place = slice(start, start + len(has))
            present[place] = has
            if has.any():
                values[place] = np.where(has[:, None], self._embedded(tensors, len(has)), 0)
        return Kept(values, present)

    def _read(self, rows: NDArray[np.int64]) -> tuple[tuple[Tensor, ...], NDArray[np.bool_]]:
        if isinstance(self._given, PixelInput):
            return self._given.read(rows)
        return self._given.batch(rows), self._given.present[rows]

    def _embedded(self, tensors: tuple[Tensor, ...], count: int) -> NDArray[np.float32]:
        if isinstance(self._given, PixelInput):  # of one shape, for which a way may have been compiled
            tensors = tuple(torch.cat([one, one.new_zeros(self._size - count, *one.shape[1:])]) for one in tensors)
        if self._run is None:
            self._run = self._runtimes.fastest(self._encoder, self.identity, tensors, self._device, len(self._given))
        found = self._run(tensors)[:count]
        if not np.isfinite(found).all():
            raise ModelError("the encoder gives numbers that are not finite")
        return found


def _identity(encoder: nn.Module) -> str:
    """Tell encoders apart: what they are, by which code they compute, and with which weights."""
    code = [content_digest(file.read_bytes()) for file in sorted(Path(encoders.__file__).parent.rglob("*.py"))]
    return digest_json([type(encoder).__qualname__, str(encoder), code, digest(encoder.state_dict())])
