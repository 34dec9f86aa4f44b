"""Data sets equal their published originals; splits are disjoint, paired, seeded."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest

from dlclaims import data
from dlclaims.data import digits, images, mnist1d
from dlclaims.errors import EnvironmentFault, UsageError
from dlclaims.seeds import Seeds

SEEDS = Seeds("page/study", (0, 1, 5))


@pytest.mark.parametrize("is_shuffled", [False, True])
def test_mnist1d_equals_the_published_program(is_shuffled):
    from mnist1d.data import get_dataset_args, make_dataset

    args = get_dataset_args()
    args.shuffle_seq = is_shuffled
    original = make_dataset(args)
    x, y, _ = mnist1d.published(is_shuffled)
    x = (x - x.mean()) / x.std()
    np.testing.assert_array_equal(x[:4000], original["x"])
    np.testing.assert_array_equal(x[4000:], original["x_test"])
    np.testing.assert_array_equal(y[:4000], original["y"])
    np.testing.assert_array_equal(y[4000:], original["y_test"])


def test_mnist1d_holds_the_training_set_and_a_fresh_balanced_test_set():
    dataset = data.load("mnist1d")
    assert dataset.x.shape == (14_000, 40)
    assert dataset.pool == 4000
    np.testing.assert_array_equal(np.bincount(dataset.y[4000:]), np.full(10, 1000))
    assert len(np.unique(dataset.x, axis=0)) == 14_000


def test_shuffling_moves_positions_and_nothing_else():
    plain, shuffled = data.load("mnist1d"), data.load("mnist1d-shuffled")
    assert not np.array_equal(plain.x, shuffled.x)
    np.testing.assert_array_equal(plain.y, shuffled.y)
    np.testing.assert_allclose(
        np.sort(plain.x, axis=1), np.sort(shuffled.x, axis=1), atol=1e-5
    )


def test_loading_leaves_global_random_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is what is guarded
    mnist1d.load_shuffled()
    after = np.random.get_state()[1]  # noqa: NPY002 - it is what is guarded
    np.testing.assert_array_equal(after, before)


def test_digits():
    raw = digits.load()
    assert raw.x.shape == (1797, 64)
    assert (raw.x.min(), raw.x.max()) == (0, 1)
    np.testing.assert_array_equal(
        np.bincount(raw.y), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    )


@pytest.mark.parametrize("name", data.NAMES)
def test_standardised_over_the_pool(name):
    dataset = data.load(name)
    pool = dataset.x[: dataset.pool].astype(float)
    np.testing.assert_allclose([pool.mean(), pool.std()], [0, 1], atol=1e-6)
    assert not dataset.x.flags.writeable


@pytest.mark.parametrize("name", data.NAMES)
def test_digests_are_those_of_the_data(name):
    assert data.load_raw(name).digest == data.DIGESTS[name]


def test_a_fixed_test_set_takes_no_part_in_standardising():
    dataset = digits.load()
    altered = dataset.x.copy()
    altered[1000:] = 7
    pool, test = 1000, 797
    one = data.Classification("a", dataset.x, dataset.y, 10, pool, test)
    two = data.Classification("b", altered, dataset.y, 10, pool, test)
    np.testing.assert_array_equal(
        data.standardize(one).x[:pool], data.standardize(two).x[:pool]
    )


@pytest.mark.parametrize("name", data.NAMES)
def test_split_shares_nothing_and_uses_everything(name):
    dataset = data.load(name)
    validation = 200
    drawn = 360 if name == "digits" else 0
    train = dataset.pool - drawn - validation
    parts = data.split(dataset, SEEDS, train=train, validation=validation)
    assert [part.shape for part in parts] == [
        (3, train),
        (3, validation),
        (3, dataset.test),
    ]
    for row in np.concatenate(parts, axis=1):
        np.testing.assert_array_equal(np.sort(row), np.arange(len(dataset.x)))


def test_a_split_belongs_to_its_seed_alone():
    dataset = data.load("digits")
    together = data.split(dataset, SEEDS, train=300, validation=100)
    alone = data.split(dataset, Seeds("page/study", (5,)), train=300, validation=100)
    for part, single in zip(together, alone, strict=True):
        np.testing.assert_array_equal(part[2], single[0])
        assert not np.array_equal(part[0], part[1])


def test_training_sets_are_nested_and_the_rest_stays():
    dataset = data.load("digits")
    small = data.split(dataset, SEEDS, train=100, validation=300)
    large = data.split(dataset, SEEDS, train=1000, validation=300)
    np.testing.assert_array_equal(small.train, large.train[:, :100])
    np.testing.assert_array_equal(small.validation, large.validation)
    np.testing.assert_array_equal(small.test, large.test)


@pytest.mark.parametrize(("train", "validation"), [(1438, 1), (0, 1), (1, 0)])
def test_a_split_that_cannot_be_is_refused(train, validation):
    with pytest.raises(UsageError, match="at most 1437"):
        data.split(data.load("digits"), SEEDS, train=train, validation=validation)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean mnist1d"):
        data.load("mnist-1d")


def test_digest_follows_every_value():
    dataset = digits.load()
    assert dataset.digest == digits.load().digest
    x, y = dataset.x.copy(), dataset.y.copy()
    x[-1, -1] += 1
    y[0] += 1
    for other in (
        data.Classification("digits", x, dataset.y, 10, 1797, 360),
        data.Classification("digits", dataset.x, y, 10, 1797, 360),
    ):
        assert other.digest != dataset.digest


def idx(values: np.ndarray) -> bytes:
    magic = (0x800 | values.ndim).to_bytes(4, "big")
    return magic + np.array(values.shape, ">u4").tobytes() + values.tobytes()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A machine with no data sets of its own; what the test adds lies in `data`."""
    monkeypatch.setattr(images, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("DLCLAIMS_DATA", str(tmp_path / "data"))
    return tmp_path


def write_fashion(folder, monkeypatch, examples=7):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    files = {}
    for name, (magic, _) in images.FASHION.items():
        shape = (examples, 28, 28) if magic == 0x803 else (examples,)
        content = idx(rng.integers(0, 10, shape, dtype=np.uint8))
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        files[name] = (magic, hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(images, "FASHION", files)


@pytest.mark.parametrize("place", ["data", "debian", "keras/datasets"])
def test_fashion_mnist_is_found_where_it_may_lie(place, elsewhere, monkeypatch):
    assert data.lacking(["digits", "fashion-mnist"]) == ("fashion-mnist",)
    write_fashion(elsewhere / place / "fashion-mnist", monkeypatch)
    assert data.lacking(["digits", "fashion-mnist"]) == ()
    found = images.load_fashion()
    assert (found.x.shape, found.pool, found.test) == ((14, 784), 7, 7)
    assert (found.x.dtype, found.y.dtype) == (np.float32, np.int32)
    assert found.x.max() == np.float32(9) / np.float32(255)
    raw = gzip.decompress(
        (elsewhere / place / "fashion-mnist/t10k-labels-idx1-ubyte.gz").read_bytes()
    )
    np.testing.assert_array_equal(found.y[7:], np.frombuffer(raw[8:], np.uint8))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"not gzip at all", "gzip unpacks"),
        (gzip.compress(idx(np.zeros(7, np.uint8)))[:-4], "gzip unpacks"),
        (gzip.compress(b"\x80\x04\x95" + b"pickle" * 9), "magic number 0x801"),
        (gzip.compress(idx(np.zeros(7, np.uint8))[:-1]), "7 bytes of values"),
        (gzip.compress(idx(np.zeros(7, np.uint8))), "sha256"),
    ],
    ids=["no gzip", "torn", "pickle", "short", "other values"],
)
def test_a_damaged_idx_file_is_refused(content, expected, elsewhere, monkeypatch):
    folder = elsewhere / "data" / "fashion-mnist"
    write_fashion(folder, monkeypatch)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(content)
    with pytest.raises(EnvironmentFault, match=expected) as error:
        images.load_fashion()
    assert str(folder / "t10k-labels-idx1-ubyte.gz") in error.value.received


def test_cifar10_is_read_from_the_archive_that_was_published(elsewhere, monkeypatch):
    folder = elsewhere / "data" / "cifar10"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    batches = {
        name: rng.integers(0, 10, (3, 3073), dtype=np.uint8) for name in images.MEMBERS
    }
    with tarfile.open(folder / images.CIFAR, "w:gz") as archive:
        for name in sorted(batches, reverse=True):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = batches[name].size
            archive.addfile(member, io.BytesIO(batches[name].tobytes()))
    with pytest.raises(EnvironmentFault, match="MD5"):
        images.load_cifar10()
    content = (folder / images.CIFAR).read_bytes()
    monkeypatch.setattr(images, "CIFAR_MD5", hashlib.md5(content).hexdigest())
    found = images.load_cifar10()
    assert (found.x.shape, found.pool, found.test) == ((18, 3072), 15, 3)
    whole = np.concatenate(list(batches.values()))
    np.testing.assert_array_equal(found.y, whole[:, 0])
    np.testing.assert_allclose(found.x * 255, whole[:, 1:], rtol=1e-6)


@pytest.mark.parametrize("name", data.OPTIONAL)
def test_a_data_set_that_is_not_here_says_how_to_get_it(name, elsewhere):
    with pytest.raises(EnvironmentFault) as error:
        data.load_raw(name)
    assert "DLCLAIMS_DATA" in error.value.advice


@pytest.mark.skipif("fashion-mnist" in data.lacking(data.OPTIONAL), reason="not here")
def test_fashion_mnist_is_what_was_published():
    found = data.load_raw("fashion-mnist")
    assert found.digest == data.DIGESTS["fashion-mnist"]
    np.testing.assert_array_equal(np.bincount(found.y[:60_000]), np.full(10, 6000))
