"""Code that was compiled when the image was built gets to where numba looks for it, or nothing happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotkube.planner.shipped import unpack


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    folder = tmp_path / "image" / "numba"
    folder.mkdir(parents=True)
    (folder / "index").write_text("built")
    return folder


def test_it_is_copied_with_nothing_left_beside_it(shipped: Path, tmp_path: Path) -> None:
    unpack(tmp_path / "run" / "numba", shipped)
    assert [str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*")] == [
        "numba",
        "numba/index",
    ]


def test_what_is_there_stays(shipped: Path, tmp_path: Path) -> None:
    there = tmp_path / "run"
    there.mkdir()
    (there / "index").write_text("newer")
    unpack(there, shipped)
    assert (there / "index").read_text() == "newer"


def test_without_it_nothing_is_made(tmp_path: Path) -> None:
    unpack(tmp_path / "run", tmp_path / "none")
    assert not (tmp_path / "run").exists()


def test_no_place_to_write_is_no_error(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    unpack(tmp_path / "file" / "numba", shipped)
    assert (tmp_path / "file").read_text() == ""
