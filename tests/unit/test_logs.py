"""Log lines for machines and for people."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from spotkube import logs


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Leaves the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_json_lines_carry_the_fields(stream: io.StringIO) -> None:
    logs.configure("json", "info", stream)
    logging.getLogger("spotkube.loop").info("claim %s launched", "web-1", extra={"price_usd_hour": 0.0312, "zone": "a"})
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "info",
        "logger": "spotkube.loop",
        "message": "claim web-1 launched",
        "price_usd_hour": 0.0312,
        "zone": "a",
    }


def test_a_traceback_stays_in_its_json_line(stream: io.StringIO) -> None:
    logs.configure("json", "info", stream)
    try:
        raise ValueError("no price")
    except ValueError:
        logging.getLogger("spotkube").exception("the cycle failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: no price" in json.loads(line)["error"]


def test_fields_can_not_forge_the_line(stream: io.StringIO) -> None:
    logs.configure("json", "info", stream)
    logging.getLogger("spotkube").info("true", extra={"level": "forged", "odd": object})
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["odd"]) == ("info", "<class 'object'>")


def test_people_get_text(stream: io.StringIO) -> None:
    logs.configure("human", "info", stream)
    logging.getLogger("spotkube.loop").warning("waits", extra={"pod": "shop/web", "why": "no room", "usd": 1 / 3})
    clock, text = stream.getvalue().rstrip("\n").split(" ", 1)
    assert len(clock) == len("12:00:00.000")
    assert text == 'WARNING loop: waits  pod=shop/web why="no room" usd=0.333333'


def test_the_level_holds_and_libraries_keep_quiet(stream: io.StringIO) -> None:
    logs.configure("human", "info", stream)
    logging.getLogger("spotkube").debug("detail")
    logging.getLogger("kopf.objects").info("Handler 'cache-pods' succeeded.")
    assert stream.getvalue() == ""
    logs.configure("human", "debug", stream)
    logging.getLogger("spotkube").debug("detail")
    logging.getLogger("kopf.objects").info("Handler 'cache-pods' succeeded.")
    assert len(stream.getvalue().splitlines()) == 2


def test_configuring_twice_does_not_say_things_twice(stream: io.StringIO) -> None:
    logs.configure("human", "info", stream)
    logs.configure("human", "info", stream)
    logging.getLogger("spotkube").info("once")
    assert len(stream.getvalue().splitlines()) == 1
