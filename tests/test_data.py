"""Data sets equal their published originals; splits are disjoint, paired, seeded."""

import numpy as np
import pytest

from dlclaims import data
from dlclaims.data import digits, mnist1d
from dlclaims.errors import UsageError
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
