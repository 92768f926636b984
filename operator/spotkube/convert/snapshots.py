"""What a decision was made from and how much work it took, as bytes: enough to make it again, bit for bit.

The bytes are JSON under xz, the same for the same record: `xzcat` and `jq` read them. They travel as a file, or as the
one entry of a ConfigMap.
"""

import base64
import binascii
import hashlib
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from spotkube import __version__
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import Plan, Work
from spotkube.model.pods import Pod

# To be raised whenever older records would be read as something else than was written.
FORMAT = 1
KEY = "snapshot.json.xz"
_XZ = b"\xfd7zXZ\x00"
# A quarter of a second for 5,000 pods of 500 Deployments, and 250 KiB; gzip makes 400 of them, more effort 175 in three
# seconds.
_EFFORT = 1
_MOST_TOLD = 3
_REMEDY = (
    "give what --save-snapshot wrote, or what `kubectl get configmap NAME -o yaml` prints of the ConfigMap that a "
    "CapacityPlan names in status.snapshot"
)


class SnapshotError(ValueError):
    """Bytes that are no record; the message says what they are, what was expected, and the remedy."""


@dataclass(frozen=True, slots=True)
class Record:
    """A decision that can be made again: `decide(snapshot, mode, seed=seed, repeat=work)`, with `moves` `consolidate`.

    `seconds` is the time that it was allowed, None for no limit; `plan` the digest of what came out; `spotkube` the
    version that made it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, ser_json_inf_nan="constants")

    mode: Mode
    seed: int
    seconds: float | None
    work: Work
    plan: str
    snapshot: Snapshot
    moves: bool = False
    spotkube: str = __version__
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class _Header:
    """What every format has."""

    format: int
    spotkube: str


_RECORD, _HEADER, _PLAN = TypeAdapter(Record), TypeAdapter(_Header), TypeAdapter(Plan)
_PODS = TypeAdapter(tuple[Pod, ...], config=ConfigDict(ser_json_inf_nan="constants"))
# No other thread runs while so many pods are written.
_PODS_AT_ONCE = 200
_NO_PODS = b'"pods":[]'


def to_record(
    snapshot: Snapshot, mode: Mode, seed: int, seconds: float | None, plan: Plan, *, moves: bool = False
) -> Record:
    """The record of a plan as `decide` returned it, or with `moves` `consolidate`."""
    return Record(mode, seed, seconds, plan.work, digest(plan), snapshot, moves)


def digest(plan: Plan) -> str:
    """Equal for equal plans, on any machine: all that was decided counts, to the last digit."""
    return hashlib.sha256(_PLAN.dump_json(plan.unexplained)).hexdigest()


def to_bytes(record: Record) -> bytes:
    """In small steps: those of a whole large cluster would hold up all other threads for a second."""
    packer = lzma.LZMACompressor(preset=_EFFORT)
    return b"".join(map(packer.compress, _parts(record))) + packer.flush()


def _parts(record: Record) -> Iterator[bytes]:
    pods = record.snapshot.pods
    frame = _RECORD.dump_json(replace(record, snapshot=replace(record.snapshot, pods=())))
    before, _, after = frame.partition(_NO_PODS)
    yield before + _NO_PODS[:-1]
    for i in range(0, len(pods), _PODS_AT_ONCE):
        yield (b"," if i else b"") + _PODS.dump_json(pods[i : i + _PODS_AT_ONCE])[1:-1]
    yield b"]" + after


def from_bytes(content: bytes) -> Record:
    """Raises SnapshotError."""
    text = _unpacked(content)
    try:
        header = _HEADER.validate_json(text)
    except ValidationError as error:
        raise SnapshotError(f"is no snapshot of SpotKube: {_told(error)}; {_REMEDY}") from error
    if header.format != FORMAT:
        raise SnapshotError(
            f"has format {header.format}, and this SpotKube {__version__} reads format {FORMAT}: use SpotKube "
            f"{header.spotkube}, which wrote it"
        )
    try:
        return _RECORD.validate_json(text)
    except ValidationError as error:
        other = "" if header.spotkube == __version__ else f", as it was written by SpotKube {header.spotkube}"
        raise SnapshotError(
            f"does not fit the snapshots of this SpotKube {__version__}{other}: {_told(error)}; use the version that "
            "wrote it, or fetch it again"
        ) from error


def read_record(content: bytes) -> Record:
    """The record in a file: its bytes, or a ConfigMap that holds them, as YAML or JSON. Raises SnapshotError."""
    return from_bytes(content if content.startswith(_XZ) else _of_config_map(content))


def _unpacked(content: bytes) -> bytes:
    reader = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    try:
        text = reader.decompress(content)
    except lzma.LZMAError as error:
        raise SnapshotError(f"is damaged ({error}): fetch or copy it again") from error
    if not reader.eof:
        raise SnapshotError(f"is cut off after {len(content)} bytes: fetch or copy it again")
    if reader.unused_data:
        raise SnapshotError(f"has {len(reader.unused_data)} bytes too many at its end: fetch or copy it again")
    return text


def _of_config_map(content: bytes) -> bytes:
    value = _parsed(content)
    found = value.get("items") if value.get("kind") in ("List", "ConfigMapList") else [value]
    maps = [one for one in found or [] if isinstance(one, dict) and one.get("kind") == "ConfigMap"]
    if len(maps) != 1:
        kind = f"holds {len(maps)} ConfigMaps" if maps else f"is a {value.get('kind', 'thing without kind')}"
        raise SnapshotError(f"{kind}, and not one ConfigMap with a snapshot: {_REMEDY}")
    data = maps[0].get("binaryData")
    encoded = data.get(KEY) if isinstance(data, dict) else None
    if not isinstance(encoded, str):
        name = (maps[0].get("metadata") or {}).get("name", "")
        raise SnapshotError(f"is ConfigMap {name}, which has no {KEY} in binaryData: {_REMEDY}")
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise SnapshotError(f"binaryData.{KEY} is not base64 ({error}), perhaps cut off: fetch it again") from error


def _parsed(content: bytes) -> dict[str, Any]:
    if not content.strip():
        raise SnapshotError(f"is empty: {_REMEDY}")
    try:
        text = content.decode()
        value = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, yaml.CSafeLoader)
    except (ValueError, yaml.YAMLError) as error:
        raise SnapshotError(f"is neither a snapshot nor YAML or JSON, perhaps cut off: {_REMEDY}") from error
    if not isinstance(value, dict):
        raise SnapshotError(f"is no snapshot and no ConfigMap: {_REMEDY}")
    return value


def _told(error: ValidationError) -> str:
    details = error.errors(include_url=False)
    told = [f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in details[:_MOST_TOLD]]
    return "; ".join(told) + (f"; and {len(details) - _MOST_TOLD} more" if len(details) > _MOST_TOLD else "")
