"""Logging as JSON lines for machines or as text for people.

Say what happened in the message and hang the rest on it as fields:
`logger.info("claim launched", extra={"nodeclaim": name, "price_usd_hour": 0.0312})`.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

LogFormat = Literal["json", "human"]

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_KOPF_INTERNAL = frozenset({"settings", "k8s_skip", "k8s_ref"})
"""What kopf hangs on its records for its own handlers."""


def configure(log_format: LogFormat = "json", level: str = "info", stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (standard error) from `level` on, and keep the chatter of libraries down."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else HumanFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    quiet = logging.DEBUG if level == "debug" else logging.WARNING
    # kopf says of each single event that its handler succeeded.
    for name in ("kopf.objects", "kopf.activities", "aiohttp.access", "asyncio"):
        logging.getLogger(name).setLevel(quiet)
    # It warns that signals are not its business, which is as it should be.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.DEBUG if level == "debug" else logging.ERROR)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, the fields, and error if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            **fields_of(record),
            "time": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        first = ("time", "level", "logger", "message")
        ordered = {name: line[name] for name in first} | line
        return json.dumps(ordered, default=str, ensure_ascii=False)


class HumanFormatter(logging.Formatter):
    """`12:00:01.250 INFO    loop: message  key=value`, tracebacks below."""

    def format(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("spotkube.")
        clock = _moment(record).astimezone().strftime("%H:%M:%S.%f")[:-3]
        pairs = "".join(f" {key}={_plain(value)}" for key, value in fields_of(record).items())
        line = f"{clock} {record.levelname:<7} {name}: {record.getMessage()}{' ' if pairs else ''}{pairs}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`."""
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD and key not in _KOPF_INTERNAL}


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _plain(value: object) -> str:
    """Quoted only where a reader, or a script that splits at blanks, would be misled."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' ="\n\t') else text
