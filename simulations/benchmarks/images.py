"""Films to what a model takes, beside the straightforward way: decode the whole film, then resize it with a filter.

Synthetic films of a detector's size (2,500 x 3,000) as JPEG and as 12-bit DICOM become tensors of 224 x 224 in
[-1024, 1024]. The straightforward way is Pillow's or pydicom's full decode and what scikit-image's
``resize(..., anti_aliasing=True)`` computes by default, here with the same two SciPy functions that it
calls: a Gaussian filter, then linear interpolation. Both ways run in turns, ours in processes of its own.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from client.preprocessing.images import Form, batches
from common import seeding

WIDTH, HEIGHT = 2500, 3000
FILMS, REPEATS = 8, 3
AIM = 5.0
"""How many times as many films a second, with one worker."""

Way = Callable[[list[Path]], NDArray[np.float32]]


def run(console: Console, films: int = FILMS, repeats: int = REPEATS) -> Mapping[str, object]:
    """Measure both kinds of file, print a table and return its figures."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, write, straightforward in (("JPEG", write_jpeg, whole_jpeg), ("DICOM", write_dicom, whole_dicom)):
            files = [Path(folder) / f"{i}.{kind.lower()}" for i in range(films)]
            for i, file in enumerate(files):
                write(draw(i), file)
            found[kind] = measure(files, straightforward, repeats)
    console.print(_table(found))
    for kind, figures in found.items():
        verdict = "met" if figures["gain"] >= AIM else "missed"
        console.print(f"aim for {kind}, one worker: {AIM:g} times the straightforward way: {verdict}")
    return found


def measure(
    files: list[Path], straightforward: Callable[[Path], NDArray[np.float64]], repeats: int
) -> dict[str, float]:
    """Films a second, medians over the repeats, and differences of pixel values."""
    ways: dict[str, Way] = {
        "whole": lambda some: np.stack([resize_whole(straightforward(file)) for file in some]),
        "one worker": lambda some: _ours(some, 1),
        "all cores": lambda some: _ours(some, os.cpu_count() or 1),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    pixels: dict[str, NDArray[np.float32]] = {}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            pixels[name] = way(files)
            seconds[name].append(time.perf_counter() - start)
    rates = {name: len(files) / statistics.median(times) for name, times in seconds.items()}
    off = np.abs(pixels["one worker"] - pixels["whole"])
    gain = rates["one worker"] / rates["whole"]
    return {**rates, "gain": gain, "mean off": float(off.mean()), "most off": float(off.max())}


def draw(seed: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.float64]:
    """Draw something with a film's spectrum: dark lungs, a bright midline, ribs, and a detector's noise; in [0, 1]."""
    rng = seeding.generator(seed, "benchmark film")
    x, y = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
    lungs = sum(np.exp(-(((x - side) / 0.3) ** 2) - (y / 0.7) ** 2) for side in (-0.45, 0.45))
    ribs = 0.08 * np.sin(30 * y + 8 * x**2) * np.exp(-((x / 0.8) ** 2))
    film = 0.6 - 0.45 * lungs + 0.3 * np.exp(-((x / 0.12) ** 2)) + ribs + rng.normal(0, 0.02, (height, width))
    return np.clip(film, 0, 1)


def _ours(files: list[Path], workers: int) -> NDArray[np.float32]:
    paths, rows = np.array([file.name for file in files], np.str_), np.arange(1, len(files) + 1)
    (batch,) = batches(files[0].parent, paths, rows, Form(), size=len(files), workers=workers)
    return batch.pixels[:, 0]


def write_jpeg(film: NDArray[np.float64], file: Path) -> None:
    """Write a drawn film in 8 bits."""
    from PIL import Image

    Image.fromarray(np.round(film * 255).astype(np.uint8)).save(file, "JPEG", quality=95)


def write_dicom(film: NDArray[np.float64], file: Path) -> None:
    """Write a drawn film in 12 bits, with a window over all of them."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID = generate_uid(entropy_srcs=[file.name])
    data.Rows, data.Columns = film.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.WindowCenter, data.WindowWidth = 2048, 4096
    data.PixelData = np.round(film * 4095).astype("<u2").tobytes()
    data.save_as(file, enforce_file_format=True)


def whole_jpeg(file: Path) -> NDArray[np.float64]:
    """Decode all pixels; grey in [0, 1]."""
    from PIL import Image

    with Image.open(file) as image:
        return np.asarray(image).astype(np.float64) / 255


def whole_dicom(file: Path) -> NDArray[np.float64]:
    """Decode all pixels; grey in [0, 1]."""
    import pydicom

    pixels: NDArray[np.uint16] = pydicom.dcmread(file).pixel_array
    return pixels.astype(np.float64) / 4095


def resize_whole(film: NDArray[np.float64]) -> NDArray[np.float32]:
    """Crop the centre and reduce it to (224, 224) in [-1024, 1024], as scikit-image does by default."""
    from scipy import ndimage

    side, size = min(film.shape), Form().size
    top, left = ((edge - side) // 2 for edge in film.shape)
    square = film[top : top + side, left : left + side] * 2048 - 1024
    smooth = ndimage.gaussian_filter(square, (side / size - 1) / 2, mode="mirror")
    reduced: NDArray[np.float64] = ndimage.zoom(smooth, size / side, order=1, mode="mirror", grid_mode=True)
    return np.clip(reduced, square.min(), square.max()).astype(np.float32)


def _table(found: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(title=f"Films of {WIDTH} x {HEIGHT} to {Form().size} x {Form().size}, films a second")
    columns = ("whole", "one worker", "gain", "all cores", "mean off", "most off")
    table.add_column("file")
    for column in columns:
        table.add_column(column, justify="right")
    for kind, figures in found.items():
        table.add_row(kind, *(f"{figures[column]:.1f}" for column in columns))
    table.caption = (
        "whole: decoded whole, filtered and interpolated; off: difference from it on a scale of 2,048 values"
    )
    return table
