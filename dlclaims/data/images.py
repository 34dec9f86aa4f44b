"""Images that no installation brings along: Fashion-MNIST and CIFAR-10, where found.

They are read from files that lie on this machine and are what was published, byte for
byte; nothing is downloaded and nothing is unpickled.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlclaims.data.classification import Classification
from dlclaims.errors import EnvironmentFault

#: Where a user tells that data sets lie, each in a folder with its name.
VARIABLE = "DLCLAIMS_DATA"
DEBIAN = Path("/usr/share/datasets")

#: Magic number and sha256 of each file of Fashion-MNIST, unpacked: images and labels
#: to learn from, images and labels to test on.
FASHION = {
    "train-images-idx3-ubyte": (
        0x803,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte": (
        0x801,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte": (
        0x803,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte": (
        0x801,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}

#: The archive of CIFAR-10 that holds plain bytes, with its published MD5; its members
#: in order, and the bytes of an image after its label.
CIFAR = "cifar-10-binary.tar.gz"
CIFAR_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
MEMBERS = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
CIFAR_PIXELS = 3 * 32 * 32

#: One file by which each data set is found, and how else it is had.
SIGNS = {"fashion-mnist": "train-images-idx3-ubyte.gz", "cifar10": CIFAR}
WAYS = {
    "fashion-mnist": "install Debian's dataset-fashion-mnist, or with a network run"
    " python -c 'import keras; keras.datasets.fashion_mnist.load_data()', or put its"
    f" four .gz files into fashion-mnist/ in a folder that ${VARIABLE} names",
    "cifar10": f"put {CIFAR} into cifar10/ in a folder that ${VARIABLE} names",
}


def folder(name: str) -> Path | None:
    """Return the folder in which a data set's files lie; None where there is none.

    Looked for in ``$DLCLAIMS_DATA``, Debian's folder and Keras' own, in this order.
    """
    keras = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    named = os.environ.get(VARIABLE)
    places = [*([Path(named)] if named else []), DEBIAN, keras / "datasets"]
    found = (place / name for place in places)
    return next((place for place in found if (place / SIGNS[name]).exists()), None)


def load_fashion() -> Classification:
    """Return Fashion-MNIST: 60,000 images of 784 pixels in [0, 1], 10,000 for testing.

    Raises
    ------
    EnvironmentFault
        Its files are not on this machine, or not those that were published.
    """
    where = _found("fashion-mnist")
    x, y, x_test, y_test = (
        _idx(where / f"{name}.gz", magic, sha256)
        for name, (magic, sha256) in FASHION.items()
    )
    return _joined("fashion-mnist", x, y, x_test, y_test)


def load_cifar10() -> Classification:
    """Return CIFAR-10: 50,000 images of 3,072 values in [0, 1], 10,000 for testing.

    Raises
    ------
    EnvironmentFault
        The archive is not on this machine, or not the one that was published.
    """
    file = _found("cifar10") / CIFAR
    if (received := _digest(file, "md5")) != CIFAR_MD5:
        raise _damaged(file, f"an MD5 of {CIFAR_MD5}", received)
    batches = [
        np.frombuffer(content, np.uint8).reshape(-1, 1 + CIFAR_PIXELS)
        for content in _members(file)
    ]
    known, test = np.concatenate(batches[:-1]), batches[-1]
    return _joined("cifar10", known[:, 1:], known[:, 0], test[:, 1:], test[:, 0])


def _joined(
    name: str,
    x: npt.NDArray[np.uint8],
    y: npt.NDArray[np.uint8],
    x_test: npt.NDArray[np.uint8],
    y_test: npt.NDArray[np.uint8],
) -> Classification:
    pixels = np.concatenate([x, x_test]).reshape(len(x) + len(x_test), -1)
    return Classification(
        name,
        np.divide(pixels, 255, dtype=np.float32),
        np.concatenate([y, y_test]).astype(np.int32),
        classes=10,
        pool=len(x),
        test=len(x_test),
    )


def _idx(file: Path, magic: int, sha256: str) -> npt.NDArray[np.uint8]:
    """Read an idx file of bytes: magic number, shape, values; all big-endian."""
    try:
        content = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(file, "a file that gzip unpacks", str(error)) from error
    if int.from_bytes(content[:4], "big") != magic:
        raise _damaged(file, f"an idx file, magic number {magic:#x}", content[:4].hex())
    axes = magic & 0xFF
    shape = np.frombuffer(content, ">u4", axes, offset=4).astype(int)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if values.size != shape.prod():
        raise _damaged(file, f"{shape.prod():,} bytes of values", f"{values.size:,}")
    if (received := hashlib.sha256(content).hexdigest()) != sha256:
        raise _damaged(file, f"a sha256 of {sha256}", received)
    return values.reshape(shape)


def _members(file: Path) -> Iterator[bytes]:
    with tarfile.open(file) as archive:
        own = {Path(member.name).name: member for member in archive}
        for name in MEMBERS:
            content = archive.extractfile(own[name])
            assert content is not None
            yield content.read()


def _digest(file: Path, kind: str) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, kind).hexdigest()


def _found(name: str) -> Path:
    where = folder(name)
    if where is None:
        raise EnvironmentFault(
            f"the files of {name}", "none on this machine", WAYS[name]
        )
    return where


def _damaged(file: Path, expected: str, received: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"{expected}, as {file.name} was published",
        f"{received} in {file}",
        "get the file again",
    )
