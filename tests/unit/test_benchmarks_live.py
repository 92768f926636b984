"""The watch of the benchmarks: what it has seen, and where it goes on when it was cut off."""

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import live
from localcluster.cluster import Cluster
from support import wait_until


class Server(ThreadingHTTPServer):
    """Says what there is to say, a watch each; one for which there is nothing goes on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Watched)
        self.asked: list[str] = []
        self.says: list[bytes] = []
        self.ended = threading.Event()


class _Watched(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked, says = self.server.asked, self.server.says
        asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        if len(asked) <= len(says):
            self.wfile.write(says[len(asked) - 1])
        else:
            self.wfile.flush()
            self.server.ended.wait(60)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    yield one
    one.ended.set()
    one.shutdown()
    one.server_close()


def event(kind: str, version: int, name: str = "", deleted: bool = False) -> dict[str, Any]:
    metadata = {"uid": name, "resourceVersion": str(version), **({"deletionTimestamp": "now"} if deleted else {})}
    return {"type": kind, "object": {"metadata": metadata}}


def watch(server: Server, folder: Path, *sayings: Sequence[dict[str, Any]]) -> live.Watch:
    server.says += ["".join(f"{json.dumps(event)}\n" for event in events).encode() for events in sayings]
    kubeconfig = folder / "kubeconfig"
    one = {"name": "one"}
    address = {"server": f"http://127.0.0.1:{server.server_address[1]}"}
    content = {
        "clusters": [{**one, "cluster": address}],
        "users": [{**one, "user": {}}],
        "contexts": [{**one, "context": {"cluster": "one", "user": "one"}}],
        "current-context": "one",
    }
    kubeconfig.write_text(json.dumps(content), encoding="utf-8")
    moments = {"told": lambda one: bool(one["metadata"].get("deletionTimestamp"))}
    return live.Watch(cast("Cluster", SimpleNamespace(kubeconfig=kubeconfig)), "/pods", moments)


def asked(server: Server, number: int) -> str:
    wait_until(lambda: len(server.asked) > number, 10)
    return server.asked[number]


def test_a_watch_that_was_cut_off_goes_on_where_it_ended(server: Server, tmp_path: Path) -> None:
    first = [event("ADDED", 7, "a"), event("ADDED", 3, "b"), event("BOOKMARK", 9), event("MODIFIED", 12, "a")]
    one = watch(server, tmp_path, first, [event("MODIFIED", 13, "b", deleted=True), event("DELETED", 14, "b")])
    try:
        assert "sendInitialEvents=true" in asked(server, 0)
        assert "resourceVersion=12" in asked(server, 1)
        assert "resourceVersion=14" in asked(server, 2)
    finally:
        one.stop()
    assert one.seen["told"].keys() == {"b"}


def test_one_that_was_cut_off_within_an_event_is_told_it_again(server: Server, tmp_path: Path) -> None:
    whole = event("MODIFIED", 13, "b", deleted=True)
    server.says.append(f"{json.dumps(event('BOOKMARK', 9))}\n{json.dumps(whole)[:-9]}".encode())
    one = watch(server, tmp_path)
    try:
        assert "resourceVersion=9" in asked(server, 1)
    finally:
        one.stop()


def test_one_that_had_not_told_all_that_there_is_begins_anew(server: Server, tmp_path: Path) -> None:
    one = watch(server, tmp_path, [event("ADDED", 7, "a")])
    try:
        assert "sendInitialEvents=true" in asked(server, 1)
    finally:
        one.stop()


def test_one_that_ended_too_long_ago_begins_anew(server: Server, tmp_path: Path) -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
    one = watch(server, tmp_path, [event("BOOKMARK", 9)], [gone])
    try:
        assert "resourceVersion=9" in asked(server, 1)
        assert "sendInitialEvents=true" in asked(server, 2)
    finally:
        one.stop()
