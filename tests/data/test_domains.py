"""Text by domain: what is found, how it is split, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from workbench.cards import InvalidValue, MissingData, UnknownName
from workbench.data import domains

SMALL = 10 * domains.CHUNK


@pytest.fixture
def made(monkeypatch):
    """Kinds of text whose chunks are numbered, so that the split can be read off; `absent` is not on the machine."""
    numbered = b"".join(bytes([i]) * domains.CHUNK for i in range(20)) + b"\xff" * 100
    kinds = (
        domains._Kind("numbered", "numbered chunks", "nothing", lambda: [numbered[:5000], numbered[5000:]]),
        domains._Kind("other", "letters", "nothing", lambda: [b"abc" * SMALL]),
        domains._Kind("absent", "a package", "pip install a-package", lambda: ()),
    )
    monkeypatch.setattr(domains, "KINDS", kinds)
    domains._load.cache_clear()
    yield numbered
    domains._load.cache_clear()


def test_the_usual_domains_are_on_any_machine_that_has_the_dependencies():
    found = domains.load_domains(size=SMALL)
    assert [d.name for d in found] == list(domains.USUAL)
    for d in found:
        assert len(d.train) + len(d.valid) == SMALL
        assert d.train.dtype == d.valid.dtype == np.uint8
        assert len(d.valid) == domains.CHUNK
        assert len(set(d.train.tolist())) > 10


def test_the_same_size_gives_the_same_bytes_and_their_sum(made):
    one, other = (domains.load_domains(("numbered", "other"))[0] for _ in range(2))
    assert one.sha256 == other.sha256 == hashlib.sha256(made).hexdigest()
    assert domains.load_domains(("numbered", "other"), SMALL)[0].sha256 == hashlib.sha256(made[:SMALL]).hexdigest()


def test_every_tenth_chunk_is_for_validation_and_no_byte_is_in_both(made):
    found = domains.load_domains(("numbered", "other"))[0]
    assert sorted(set(found.valid.tolist())) == [9, 19]
    assert sorted(set(found.train.tolist())) == [*range(9), *range(10, 19), 255]
    assert len(found.valid) == 2 * domains.CHUNK


def test_a_description_names_sizes_source_and_sum(made):
    text = domains.described(domains.load_domains(("numbered", "other")))
    assert text.count("SHA-256") == 2
    assert "numbered: 73,828 + 8,192 bytes of numbered chunks" in text


@pytest.mark.parametrize(
    ("names", "size", "error", "words"),
    [
        (("numbered",), SMALL, InvalidValue, "At least two different domains are needed; got numbered"),
        (("numbered", "numbered"), SMALL, InvalidValue, "two different"),
        ((), SMALL, InvalidValue, "got none"),
        (("numbered", "other"), SMALL - 1, InvalidValue, "size must be at least 40960 bytes"),
        (("numbered", "othr"), SMALL, UnknownName, "other"),
        (("numbered", "absent"), SMALL, MissingData, "pip install a-package"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(made, names, size, error, words):
    with pytest.raises(error, match=words):
        domains.load_domains(names, size)


def test_a_folder_is_read_in_an_order_of_its_own_and_mixed(tmp_path: Path):
    for i in range(12):
        (tmp_path / f"f{i:02}").write_bytes(bytes([i]))
    read = b"".join(domains._shuffled(tmp_path, tmp_path.glob("*")))
    assert sorted(read) == list(range(12))
    assert read != bytes(range(12))
    assert read == b"".join(domains._shuffled(tmp_path, sorted(tmp_path.glob("*"), reverse=True)))
