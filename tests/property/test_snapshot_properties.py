"""Stored snapshots: whatever stands in them comes back as it was."""

import dataclasses
import math
import os
import subprocess
import sys
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import make_pod, make_snapshot
from spotkube.convert.snapshots import FORMAT, Record, SnapshotError, from_bytes, read_record, to_bytes
from spotkube.model.cluster import Mode
from spotkube.model.history import SpotPool
from spotkube.model.offerings import OfferingKey
from spotkube.model.plan import Work
from spotkube.model.resources import MAX_AMOUNT, ResourceList

TEXT = st.text(max_size=5)
LEAVES = {
    str: TEXT,
    # A time or a share is never NaN; that would not even be equal to itself.
    float: st.floats(allow_nan=False),
    ResourceList: st.dictionaries(TEXT, st.integers(-5, MAX_AMOUNT), max_size=2).map(ResourceList),
    OfferingKey: st.builds(OfferingKey, TEXT, TEXT, TEXT),
    SpotPool: st.builds(SpotPool, TEXT, TEXT),
}


@cache
def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values with every field drawn: Hypothesis by itself leaves those at their defaults that have one."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint in LEAVES:
        return LEAVES[hint]
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        fields = {
            field.name: st.deferred(lambda of=hints[field.name]: of_type(of)) for field in dataclasses.fields(hint)
        }
        return st.builds(hint, **fields)
    if origin is tuple and inner[1:] == (...,):
        return st.lists(of_type(inner[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of_type, inner))
    if origin is frozenset:
        return st.frozensets(of_type(inner[0]), max_size=3)
    if origin in (Union, UnionType):
        return st.one_of(*map(of_type, inner))
    return st.from_type(hint)


records = of_type(Record).map(lambda record: dataclasses.replace(record, format=FORMAT))
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def alike(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down: 1 == 1.0 == True, and "spot" is equal to a member of an enum."""
    if type(one) is not type(other) or one != other:
        return False
    if dataclasses.is_dataclass(one):
        return all(alike(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, tuple):
        return all(alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, frozenset):
        return all(alike(a, b) for a, b in zip(sorted(one), sorted(other), strict=True))
    return not isinstance(one, Enum) or one is other


@SLOW
@given(records)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    written = to_bytes(record)
    assert alike(from_bytes(written), record)
    assert to_bytes(from_bytes(written)) == written


def test_a_pod_without_end_comes_back() -> None:
    pod = dataclasses.replace(make_pod(), ends_at=math.inf)
    record = Record(Mode.APPLY, 0, None, Work(), "", make_snapshot([pod], []))
    assert from_bytes(to_bytes(record)) == record


@SLOW
@given(records, st.data())
def test_what_is_cut_off_or_damaged_is_refused_in_words(record: Record, data: st.DataObject) -> None:
    written = to_bytes(record)
    cut = data.draw(st.integers(0, len(written) - 1))
    with pytest.raises(SnapshotError):
        read_record(written[:cut])
    at = data.draw(st.integers(0, len(written) - 1))
    with pytest.raises(SnapshotError):
        read_record(written[:at] + bytes([written[at] ^ 0xFF]) + written[at + 1 :])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(SnapshotError):
        read_record(content)


HASHED = """
from spotkube.convert.snapshots import to_bytes, to_record
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.cluster import Mode
from spotkube.model.history import SpotPool
from spotkube.model.offerings import OfferingKey
from spotkube.model.plan import Plan
from spotkube.model.pods import Pod, PodShape, PodTerm
from spotkube.model.resources import ResourceList
term = PodTerm("zone", None, frozenset(f"team-{n}" for n in range(20)))
pod = Pod("u", "d", "p", (), PodShape("d", ResourceList({"memory": 2, "cpu": 1}), anti_affinity=(term,)))
resting = frozenset(OfferingKey(f"t{n}", "z", "spot") for n in range(20))
print(to_bytes(to_record(Snapshot(0.0, pods=(pod,), resting=resting), Mode.APPLY, 0, None, Plan())).hex())
"""


def test_the_bytes_do_not_depend_on_how_strings_are_hashed() -> None:
    def written(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run([sys.executable, "-c", HASHED], env=environment, check=True, capture_output=True).stdout

    assert written("1") == written("2") == written("3")
