"""What was seen of spot, as the text that is kept of it, and back. It may come to us changed by anybody."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spotkube.model.history import SpotPool, SpotRecord

CONFIG_MAP = "spotkube-interruptions"
KEY = "history.json"
VERSION = 1
# No machine has run longer than ten years.
MOST_HOURS_EACH = 10 * 8766.0


@dataclass(frozen=True, slots=True)
class History:
    """Nodes that ended or were taken back, by spot pool. `counted` are claims (uids) in it whose end is still coming.

    `refused` says of each entry that was left out why.
    """

    records: Mapping[SpotPool, SpotRecord] = field(default_factory=dict)
    counted: frozenset[str] = frozenset()
    refused: tuple[str, ...] = ()
    resting: Any = None
    """Of offerings that failed, as `RestingOfferings` keeps it; not judged here."""


def parse_history(text: str) -> History:
    """Entries that can't be true are left out, so that the published band alone counts for their spot pools."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return History(refused=(f"{KEY} is not JSON ({error}): the history is begun anew",))
    if not isinstance(value, dict) or value.get("version") != VERSION or not isinstance(value.get("pools"), dict):
        return History(refused=(f"{KEY} is not of version {VERSION} with pools: the history is begun anew",))
    records: dict[SpotPool, SpotRecord] = {}
    refused = []
    for key, entry in value["pools"].items():
        record = _record(key, entry)
        if isinstance(record, SpotRecord):
            records[record.pool] = record
        else:
            refused.append(f"{KEY}: pools[{key!r}]{record}: it is left out, and the published band counts")
    counted = value.get("counted")
    uids = frozenset(uid for uid in counted if isinstance(uid, str)) if isinstance(counted, list) else frozenset()
    return History(records, uids, tuple(refused), value.get("resting"))


def format_history(
    records: Iterable[SpotRecord], counted: Iterable[str], resting: Mapping[str, list[float]] | None = None
) -> str:
    """Compact JSON, the same for the same content."""
    pools = {
        f"{one.pool.instance_type}/{one.pool.zone}": {
            "hours": round(one.hours, 4),
            "nodes": one.nodes,
            "interruptions": one.interruptions,
        }
        for one in records
    }
    value = {"version": VERSION, "pools": pools, "counted": sorted(counted)}
    if resting:
        value["resting"] = resting
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _record(key: str, entry: Any) -> SpotRecord | str:
    """The record, or what is wrong, to be read on after its name."""
    instance_type, _, zone = key.partition("/")
    if not instance_type or not zone or "/" in zone:
        return " is no INSTANCE_TYPE/ZONE"
    if not isinstance(entry, dict):
        return " is no object of hours, nodes and interruptions"
    hours, nodes, interruptions = (entry.get(name) for name in ("hours", "nodes", "interruptions"))
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not math.isfinite(hours) or hours < 0:
        return f".hours is {hours!r}, and must be a number not below 0"
    for name, count in (("nodes", nodes), ("interruptions", interruptions)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            return f".{name} is {count!r}, and must be a whole number not below 0"
    assert isinstance(nodes, int)
    assert isinstance(interruptions, int)
    if interruptions > nodes:
        return f".interruptions is {interruptions}, but a node is taken once, and there were {nodes} nodes"
    if hours > nodes * MOST_HOURS_EACH:
        return f".hours is {hours!r}, more than {nodes} nodes can have run"
    return SpotRecord(SpotPool(instance_type, zone), float(hours), nodes, interruptions)
