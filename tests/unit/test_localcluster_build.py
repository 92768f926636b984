"""Building: once, whole or not at all, with the compiler's words when it fails. A script plays the compiler."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from localcluster import build, golang
from localcluster.build import ensure_binaries, is_built
from localcluster.errors import BuildError
from localcluster.groups import cache_dir, group_of

GO = """#!/bin/sh
[ "$1" = env ] && echo go1.99.0 && exit
while [ "$1" != -o ]; do shift; done
echo "$2" >> {calls}
sleep 0.3
mkdir -p "$(dirname "$2")" && echo binary > "$2"
"""
BROKEN_GO = """#!/bin/sh
[ "$1" = env ] && echo go1.99.0 && exit
for n in $(seq 100); do echo "main.go:$n: undefined: x" >&2; done
exit 1
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own and a compiler that notes what it was asked for, in the returned file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    log = tmp_path / "calls"
    log.touch()
    use_go(tmp_path, monkeypatch, GO.format(calls=log))
    return log


def use_go(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "go").write_text(script)
    (folder / "bin" / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")


def test_tools_are_built_once_and_found_afterwards(calls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = ensure_binaries(["etcd"])
    assert first["etcd"].read_text() == "binary\n"
    assert "about 1 minute on 2 cores, once" in capsys.readouterr().err
    assert ensure_binaries(["etcd"]) == first
    assert len(calls.read_text().splitlines()) == 1
    assert not capsys.readouterr().err


def test_one_tool_brings_its_whole_group_and_no_other(calls: Path) -> None:
    ensure_binaries(["kubectl"])
    assert is_built(group_of("kube-apiserver"))
    assert not is_built(group_of("etcd"))


def test_two_callers_at_once_build_once(calls: Path) -> None:
    callers = [threading.Thread(target=ensure_binaries, args=(["etcd"],)) for _ in range(2)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert len(calls.read_text().splitlines()) == 1


def test_failed_build_tells_the_end_of_what_the_compiler_said_and_leaves_nothing(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_go(tmp_path, monkeypatch, BROKEN_GO)
    with pytest.raises(BuildError, match="building etcd failed") as caught:
        ensure_binaries(["etcd"])
    lines = str(caught.value).splitlines()
    assert lines[-1] == "main.go:100: undefined: x"
    assert len(lines) == 1 + build.ERROR_LINES
    assert not is_built(group_of("etcd"))
    assert [path.suffix for path in cache_dir().iterdir()] == [".lock"]


def test_leftovers_of_a_killed_build_are_removed(calls: Path) -> None:
    leftover = cache_dir() / f"build-{group_of('etcd').cache_key()[:12]}-killed"
    leftover.mkdir(parents=True)
    ensure_binaries(["etcd"])
    assert not leftover.exists()


def test_old_go_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_go(tmp_path, monkeypatch, "#!/bin/sh\necho go1.9.7\n")
    monkeypatch.setattr(golang, "_installed_go", lambda: Path("/installed/go"))
    assert golang.find_go((1, 26, 0)) == Path("/installed/go")
    assert golang.find_go((1, 9)) == tmp_path / "bin" / "go"


def test_unreadable_go_version_counts_as_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_go(tmp_path, monkeypatch, "#!/bin/sh\necho devel\n")
    assert golang.go_release(tmp_path / "bin" / "go") == (0,)
