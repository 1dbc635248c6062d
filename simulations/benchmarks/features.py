"""Films to embeddings, beside the usual way: JPEG files of a detector's size to DenseNet-121's 1,024 numbers.

The usual way is torchxrayvision's, here with the same calls: decode the whole film, bring it to [-1024, 1024], crop
the centre, scikit-image's ``resize``, then the network in single precision. Ours is what a site does with a frozen
encoder, encrypted shelf included; making the encoder ready, once an extraction, is told apart. The network has random
weights, its normalisation the statistics of some of the films. Both ways run in turns; ours decodes in other processes.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from client.cohorts.modalities import Films
from client.features import runtimes
from client.features.embedding import BATCH, embed
from client.features.runtimes import Run, Runtimes
from client.features.shelf import Shelf
from client.inputs.images import film_input
from client.training.devices import devices
from client.training.examples import Examples
from common.crypto.at_rest import SiteKey
from common.encoders.base import Settings, Shape
from common.encoders.network import Network, Part, assemble
from simulations.benchmarks import images

FILMS, REPEATS, SIZE = 16, 2, 224
ROWS = 1000
"""Films that the way is chosen for: so few that nothing is compiled, which alone takes minutes."""
AIM, AIM_BFLOAT16 = 2.5, 6.0
"""How many times as many films a second, without and with bfloat16 in the device."""
_MODALITY = "images"
_USUAL_BATCH = 8


class _Ready(Runtimes):
    """One way, made ready beforehand."""

    def __init__(self, file: Path, run: Run) -> None:
        super().__init__(file)
        self._run = run

    def fastest(self, *_: object) -> Run:
        """Return it."""
        return self._run


class Found(NamedTuple):
    """Films a second of both ways, seconds to make ready, and how far embeddings agree."""

    usual: float
    ours: float
    ready: float
    cosine: float


def run(console: Console, films: int = FILMS, repeats: int = REPEATS) -> Mapping[str, object]:
    """Measure both ways, print a table and return its figures."""
    device = devices("auto")[0]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.jpeg" for i in range(films)]
        for i, file in enumerate(files):
            images.write_jpeg(images.draw(i), file)
        found = measure(files, device, repeats)
    gain, aim = found.ours / found.usual, AIM_BFLOAT16 if runtimes.has_bfloat16(device) else AIM
    table = Table(title=f"Films of {images.WIDTH} x {images.HEIGHT} to embeddings, films a second, {device}")
    for column in ("usual", "ours", "gain", "ready after", "least cosine"):
        table.add_column(column, justify="right")
    cells = f"{found.usual:.2f}", f"{found.ours:.2f}", f"{gain:.1f}", f"{found.ready:.1f} s", f"{found.cosine:.4f}"
    table.add_row(*cells)
    console.print(table)
    console.print(f"aim: {aim:g} times the usual way: {'met' if gain >= aim else 'missed'}")
    return {**found._asdict(), "gain": gain, "device": str(device)}


def measure(files: list[Path], device: torch.device, repeats: int) -> Found:
    """Take medians over the repeats."""
    network = random_network(np.stack([read_usually(file) for file in files[:_USUAL_BATCH]])).to(device)
    encoder = network.encoders[_MODALITY]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        measured = Path(folder) / "runtimes.json"
        fastest = Runtimes(measured).fastest(encoder, "benchmark", _batch(files, device), device, rows=ROWS)
        ready = _Ready(measured, fastest)
        seconds_ready = time.perf_counter() - start
        usual, ours = list[float](), list[float]()
        for number in range(repeats):
            start = time.perf_counter()
            expected = embed_usually(files, encoder, device)
            usual.append(time.perf_counter() - start)
            shelf = Shelf(Path(folder) / str(number), SiteKey(bytes(32)))
            start = time.perf_counter()
            found, _ = embed(_examples(files, shelf), network, _MODALITY, shelf, ready, device)
            ours.append(time.perf_counter() - start)
    rates = [len(files) / statistics.median(seconds) for seconds in (usual, ours)]
    return Found(rates[0], rates[1], seconds_ready, runtimes.cosine(expected, found))


def random_network(films: NDArray[np.float32]) -> Network:
    """Build a frozen DenseNet-121 whose normalisation knows the statistics of some films."""
    part = Part("densenet121", Shape(1, (SIZE, SIZE)), Settings(), frozen=True)
    network = assemble({_MODALITY: part}, 1, seed=1)
    encoder = network.encoders[_MODALITY]
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # a plain mean over what is seen
    with torch.no_grad():
        encoder.train()(torch.from_numpy(films))
    return network.eval()


def read_usually(file: Path) -> NDArray[np.float32]:
    """Read a film as torchxrayvision documents it; (1, 224, 224)."""
    from PIL import Image
    from skimage.transform import resize

    with Image.open(file) as image:
        grey = (2 * (np.asarray(image).astype(np.float32) / 255) - 1.0) * 1024
    side = min(grey.shape)
    top, left = (edge // 2 - side // 2 for edge in grey.shape)
    square = grey[None, top : top + side, left : left + side]
    small: NDArray[np.float32] = resize(square, (1, SIZE, SIZE), mode="constant", preserve_range=True)
    return small.astype(np.float32)


def embed_usually(files: list[Path], encoder: nn.Module, device: torch.device) -> NDArray[np.float32]:
    """Embed films in batches, in single precision."""
    found = []
    for start in range(0, len(files), _USUAL_BATCH):
        films = np.stack([read_usually(file) for file in files[start : start + _USUAL_BATCH]])
        with torch.inference_mode():
            found.append(encoder(torch.from_numpy(films).to(device)).cpu().numpy())
    return np.concatenate(found)


def _examples(files: list[Path], shelf: Shelf) -> Examples:
    count = len(files)
    films = Films(
        first=np.arange(count),
        last=np.arange(count) + 1,
        path=np.array([file.name for file in files]),
        view=np.full(count, "PA"),
        time=np.zeros(count),
        row=np.arange(count) + 1,
    )
    given = film_input(films, files[0].parent, SIZE, shelf)
    return Examples({_MODALITY: given}, np.zeros((count, 1), np.int8), np.array([file.stem for file in files]))


def _batch(files: list[Path], device: torch.device) -> tuple[torch.Tensor]:
    """Repeat two films to as many as an extraction takes at once."""
    films = np.stack([read_usually(file) for file in files[:2]])
    return (torch.from_numpy(np.resize(films, (BATCH[device.type], 1, SIZE, SIZE))),)
