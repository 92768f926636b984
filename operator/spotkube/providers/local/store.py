"""What survives a restart of the fake cloud: instances, limits of capacity and the log, in one SQLite file."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spotkube.model.offerings import OfferingKey
from spotkube.providers.local.machines import Cause, Machine
from spotkube.providers.local.wire import OrderMessage, format_key, parse_key
from spotkube.providers.port import InstanceState

_SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    id TEXT PRIMARY KEY, token TEXT NOT NULL UNIQUE, instance_order TEXT NOT NULL, launched_at REAL NOT NULL,
    boots_at REAL NOT NULL, state TEXT NOT NULL, joins INTEGER NOT NULL, registered INTEGER NOT NULL, deadline REAL,
    notice_id TEXT, announced INTEGER NOT NULL, terminates_at REAL, ended_at REAL, cause TEXT,
    powered_off INTEGER NOT NULL, removed INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS capacity (offering TEXT PRIMARY KEY, instances INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, event TEXT NOT NULL, instance TEXT NOT NULL,
    detail TEXT NOT NULL
);
"""
_FIELDS = (
    *("id", "token", "instance_order", "launched_at", "boots_at", "state", "joins", "registered", "deadline"),
    *("notice_id", "announced", "terminates_at", "ended_at", "cause", "powered_off", "removed"),
)
_SAVE = f"INSERT OR REPLACE INTO instances ({', '.join(_FIELDS)}) VALUES ({', '.join(':' + name for name in _FIELDS)})"
# The limit for offerings that have none of their own.
_DEFAULT = "*"


class StoreError(Exception):
    """The file can't be used: another process holds it, or it is no state of a fake cloud."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: to which instance ("" for none), when in seconds since the epoch, and more about it.

    `sequence` is its place in the log, 0 before it is stored.
    """

    at: float
    event: str
    instance: str
    detail: dict[str, Any]
    sequence: int = 0

    def to_json(self) -> dict[str, Any]:
        about = {"at": self.at, "event": self.event, "instance": self.instance, **self.detail}
        return {"sequence": self.sequence, **about} if self.sequence else about


class Store:
    """Calls take well under a millisecond, so the event loop may make them."""

    def __init__(self, path: Path, wait_seconds: float = 2.0) -> None:
        """Opens the file, making it and its folder if need be. Raises StoreError, and OSError for the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _open(path, wait_seconds)
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise StoreError(f"state: {path} is in use by another fake cloud; stop it or choose another") from error
            raise StoreError(f"state: {path} can't be used ({error}); choose another file, or delete it") from error

    def close(self) -> None:
        self._db.close()

    def machines(self) -> tuple[Machine, ...]:
        """All instances ever launched, in the order of their launch."""
        return tuple(map(_machine, self._db.execute("SELECT * FROM instances ORDER BY launched_at, rowid")))

    def save(self, machine: Machine, *events: Event) -> None:
        """Stores an instance and what happened to it, both or neither."""
        with self._db:
            self._db.execute(_SAVE, _row(machine))
            self._append(events)

    def record(self, event: Event) -> None:
        with self._db:
            self._append((event,))

    def _append(self, events: Iterable[Event]) -> None:
        self._db.executemany(
            "INSERT INTO events (at, event, instance, detail) VALUES (?, ?, ?, ?)",
            [(each.at, each.event, each.instance, json.dumps(each.detail)) for each in events],
        )

    def events(self, after: int = 0) -> tuple[Event, ...]:
        """The log from the event behind `after` on."""
        rows = self._db.execute("SELECT * FROM events WHERE sequence > ? ORDER BY sequence", (after,))
        return tuple(Event(r["at"], r["event"], r["instance"], json.loads(r["detail"]), r["sequence"]) for r in rows)

    def limits(self) -> tuple[int | None, dict[OfferingKey, int]]:
        """The default limit, and those of single offerings."""
        rows = dict(self._db.execute("SELECT offering, instances FROM capacity").fetchall())
        default = rows.pop(_DEFAULT, None)
        return default, {parse_key(text): limit for text, limit in rows.items()}

    def set_limit(self, key: OfferingKey | None, limit: int | None) -> None:
        """Sets the limit of one offering, or the default for `key` None; None lifts it."""
        offering = _DEFAULT if key is None else format_key(key)
        with self._db:
            if limit is None:
                self._db.execute("DELETE FROM capacity WHERE offering = ?", (offering,))
            else:
                self._db.execute("INSERT OR REPLACE INTO capacity VALUES (?, ?)", (offering, limit))


def _open(path: Path, wait_seconds: float) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=wait_seconds)
    db.row_factory = sqlite3.Row
    try:
        # Held until close: two clouds on one file would sell the same capacity twice.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")  # outlives the process, which is what restarts are about
        db.executescript(_SCHEMA)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _row(machine: Machine) -> dict[str, Any]:
    row = {name: getattr(machine, name) for name in _FIELDS if name not in ("token", "instance_order")}
    return row | {"token": machine.order.token, "instance_order": OrderMessage.of(machine.order).model_dump_json()}


def _machine(row: sqlite3.Row) -> Machine:
    return Machine(
        id=row["id"],
        order=OrderMessage.model_validate_json(row["instance_order"]).order(),
        launched_at=row["launched_at"],
        boots_at=row["boots_at"],
        state=InstanceState(row["state"]),
        joins=bool(row["joins"]),
        registered=bool(row["registered"]),
        deadline=row["deadline"],
        notice_id=row["notice_id"],
        announced=bool(row["announced"]),
        terminates_at=row["terminates_at"],
        ended_at=row["ended_at"],
        cause=Cause(row["cause"]) if row["cause"] else None,
        powered_off=bool(row["powered_off"]),
        removed=bool(row["removed"]),
    )
