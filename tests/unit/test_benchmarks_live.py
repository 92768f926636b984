"""The watch of the benchmarks: what it has seen, and where it goes on when it was cut off."""

import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import live
from localcluster.cluster import Cluster
from support import wait_until

# Says what it was asked, then what the next file of the folder holds; a watch that has nothing to say goes on.
SCRIPT = """#!/bin/sh
cd "$(dirname "$0")"
number=$(ls asked 2>/dev/null | wc -l)
mkdir -p asked; echo "$4" > new; mv new "asked/$number"
[ -f "says-$number" ] && exec cat "says-$number"
exec sleep 60
"""


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A folder with what plays kubectl."""
    script = tmp_path / "kubectl"
    script.write_text(SCRIPT, encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def event(kind: str, version: int, name: str = "", deleted: bool = False) -> dict[str, Any]:
    metadata = {"uid": name, "resourceVersion": str(version), **({"deletionTimestamp": "now"} if deleted else {})}
    return {"type": kind, "object": {"metadata": metadata}}


def watch(server: Path, *sayings: list[dict[str, Any]]) -> live.Watch:
    for number, events in enumerate(sayings):
        lines = "".join(f"{json.dumps(event)}\n" for event in events)
        (server / f"says-{number}").write_text(lines, encoding="utf-8")
    cluster = cast("Cluster", SimpleNamespace(binary=lambda name: server / name, kubeconfig=server / "kubeconfig"))
    moments = {"told": lambda one: bool(one["metadata"].get("deletionTimestamp"))}
    return live.Watch(cluster, "/pods", moments)


def asked(server: Path, number: int) -> str:
    wait_until((server / "asked" / str(number)).exists, 10)
    return (server / "asked" / str(number)).read_text(encoding="utf-8")


def test_a_watch_that_was_cut_off_goes_on_where_it_ended(server: Path) -> None:
    first = [event("ADDED", 7, "a"), event("ADDED", 3, "b"), event("BOOKMARK", 9), event("MODIFIED", 12, "a")]
    one = watch(server, first, [event("MODIFIED", 13, "b", deleted=True), event("DELETED", 14, "b")])
    try:
        assert "sendInitialEvents=true" in asked(server, 0)
        assert "resourceVersion=12" in asked(server, 1)
        assert "resourceVersion=14" in asked(server, 2)
    finally:
        one.stop()
    assert one.seen["told"].keys() == {"b"}


def test_one_that_was_cut_off_within_an_event_is_told_it_again(server: Path) -> None:
    whole = event("MODIFIED", 13, "b", deleted=True)
    (server / "says-0").write_text(f"{json.dumps(event('BOOKMARK', 9))}\n{json.dumps(whole)[:-9]}", encoding="utf-8")
    one = watch(server)
    try:
        assert "resourceVersion=9" in asked(server, 1)
    finally:
        one.stop()


def test_one_that_had_not_told_all_that_there_is_begins_anew(server: Path) -> None:
    one = watch(server, [event("ADDED", 7, "a")])
    try:
        assert "sendInitialEvents=true" in asked(server, 1)
    finally:
        one.stop()


def test_one_that_ended_too_long_ago_begins_anew(server: Path) -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
    one = watch(server, [event("BOOKMARK", 9)], [gone])
    try:
        assert "resourceVersion=9" in asked(server, 1)
        assert "sendInitialEvents=true" in asked(server, 2)
    finally:
        one.stop()
