"""Streams: real tasks, the authors' class order, batches that are a function of the position alone."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import data
from workbench.cards.errors import InvalidValue, MissingData, UnknownName
from workbench.methods.continual._shared import streams
from workbench.methods.continual.adab2n.card import TASKS


def rng(name: str, *keys: int | str) -> np.random.Generator:
    return np.random.default_rng([len(name), *(k if isinstance(k, int) and k >= 0 else 7 for k in keys)])


@pytest.fixture(scope="module")
def fashion() -> data.Data:
    return data.load("fashion_mnist")


def test_the_card_offers_every_stream_with_its_number_of_tasks():
    assert tuple(TASKS) == streams.STREAMS
    assert {n: t for n, (_, t) in streams.SPLITS.items()} | {"domains": len(streams.DOMAINS)} == TASKS


def test_order_seed_0_leaves_the_classes_and_others_permute_them_as_the_authors_do(fashion):
    plain = streams.split(fashion, 5, 0, images=50)
    assert [t.name for t in plain.tasks][:2] == ["T-shirt / Trouser", "Pullover / Dress"]
    order = np.random.default_rng(42 + 3).permutation(10)
    third = streams.split(fashion, 5, 3)
    for k, task in enumerate(third.tasks):
        assert set(task.train_y) == {2 * k, 2 * k + 1}
        assert len(task.train_y) == 12_000
        for new in (2 * k, 2 * k + 1):
            old = int(np.flatnonzero(order == new)[0])
            picture = fashion.train_x[np.flatnonzero(fashion.train_y == old)[0]]
            assert (task.train_x[np.flatnonzero(task.train_y == new)[0]] == picture).all()


def test_the_domains_are_clothes_digits_and_animals_with_labels_of_their_own():
    domains = streams.load("domains", images=300)
    assert [t.name for t in domains.tasks] == ["fashion_mnist", "mnist_5k", "animal_mnist"]
    assert (domains.classes, domains.classes_per_task) == (30, 10)
    for k, task in enumerate(domains.tasks):
        assert set(task.train_y) == set(range(10 * k, 10 * k + 10))
        assert len(task.train_y) == 300


def test_a_stream_that_needs_cifar_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"cifar-100-binary\.tar\.gz"):
        streams.load("split_cifar100")


@pytest.mark.parametrize(("tasks", "words"), [(3, "do not split into 3"), (1, "do not split into 1")])
def test_classes_that_do_not_split_evenly_are_refused(fashion, tasks, words):
    with pytest.raises(InvalidValue, match=words):
        streams.split(fashion, tasks, 0)


def test_an_unknown_stream_suggests_the_nearest():
    with pytest.raises(UnknownName, match="split_fashion_mnist"):
        streams.load("split_fashion")


def test_probes_are_balanced_over_the_classes_of_each_task(fashion):
    tasks = streams.split(fashion, 5, 2)
    for k, (x, y) in enumerate(tasks.probes(64)):
        assert np.bincount(y, minlength=10)[2 * k : 2 * k + 2].tolist() == [32, 32]
        assert len(x) == 64


def test_batches_follow_from_the_position_alone_and_an_epoch_holds_every_image_once(fashion):
    tasks = streams.split(fashion, 5, 0, images=40)
    stream = streams.Stream(tasks, rng)
    assert stream.at_border
    stream.begin(8, 10)
    batches = [stream.next() for _ in range(8)]
    images = np.concatenate([x for x, _, _ in batches[:4]]).reshape(40, -1)
    assert len(np.unique(images, axis=0)) == 40
    assert not (batches[0][0] == batches[4][0]).all(), "the second epoch has another order"
    assert stream.at_border
    assert not stream.over
    other = streams.Stream(tasks, rng)
    other.load_state_dict({"task": 0, "position": 5, "length": 8, "batch": 10})
    x, y, t = other.next()
    assert (x == batches[5][0]).all()
    assert (y == batches[5][1]).all()
    assert set(t) == {0}


def test_a_mixed_stream_has_images_of_all_tasks_in_its_batches(fashion):
    stream = streams.Stream(streams.split(fashion, 5, 0, images=40), rng, mixed=True)
    stream.begin(5, 40)
    assert len(set(stream.next()[2])) == 5
    assert stream.current == 4


def test_there_is_no_task_behind_the_last(fashion):
    stream = streams.Stream(streams.split(fashion, 5, 0, images=20), rng)
    for _ in range(5):
        stream.begin(0, 10)
    assert stream.over
    with pytest.raises(InvalidValue, match="none after the last"):
        stream.begin(1, 10)
