"""Files are there whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from media.files import atomic_path, scratch_path
from media.hashing import sha256_file


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.mp4"
    with atomic_path(target) as made:
        made.write_bytes(b"whole")
        assert made.suffix == ".mp4"
        assert made.parent == target.parent
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("before")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as made:
        made.write_text(str(1 / 0))
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    with atomic_path(target) as first:
        first.write_bytes(b"first")
        with atomic_path(target) as second, scratch_path(target, ".wav") as third:
            assert len({first, second, third}) == 3
            second.write_bytes(b"second")
        assert first.read_bytes() == b"first"
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_only_left_overs_of_the_same_target_are_removed(tmp_path: Path) -> None:
    for name in (".a.0123abcd.part.mp4", ".b.0123abcd.part.mp4", ".a.notes.mp4"):
        (tmp_path / name).write_bytes(b"x")
    with atomic_path(tmp_path / "a.mp4") as made:
        made.write_bytes(b"y")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".a.notes.mp4",
        ".b.0123abcd.part.mp4",
        "a.mp4",
    ]


def test_a_long_name_fits(tmp_path: Path) -> None:
    target = tmp_path / ("📼" * 60 + ".mp4")
    with atomic_path(target) as made:
        made.write_bytes(b"x")
    assert target.exists()


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    seen: list[float] = []
    path.write_bytes(bytes(range(256)) * 10_000)
    assert sha256_file(path, seen.append) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
