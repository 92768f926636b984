"""The history as it is kept: what is true comes back, what can't be true is left out entry by entry."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotkube.convert.history import format_history, parse_history
from spotkube.model.history import SpotPool, SpotRecord

GOOD = {"hours": 100.0, "nodes": 4, "interruptions": 1}


def text_of(**pools: object) -> str:
    return json.dumps({"version": 1, "pools": {key.replace("_", "/"): value for key, value in pools.items()}})


names = st.text("abcdefgh.0123456789-", min_size=1, max_size=12)
records = st.builds(
    lambda type_, zone, each, nodes, taken: SpotRecord(SpotPool(type_, zone), each * nodes, nodes, min(taken, nodes)),
    names, names, st.integers(0, 80_000), st.integers(0, 10_000), st.integers(0, 10_000),
)  # fmt: skip


@given(st.lists(records, unique_by=lambda one: one.pool), st.sets(st.uuids().map(str)))
def test_what_was_written_is_read(written: list[SpotRecord], counted: set[str]) -> None:
    text = format_history(written, counted)
    read = parse_history(text)
    assert (dict(read.records), read.counted, read.refused) == ({one.pool: one for one in written}, counted, ())
    assert format_history(reversed(written), counted) == text


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({**GOOD, "hours": -1}, "hours is -1"),
        ({**GOOD, "hours": float("nan")}, "hours is nan"),
        ({**GOOD, "hours": float("inf")}, "hours is inf"),
        ({**GOOD, "hours": "100"}, "hours is '100'"),
        ({**GOOD, "hours": 1e9}, "more than 4 nodes can have run"),
        ({**GOOD, "nodes": 2.5}, "nodes is 2.5"),
        ({**GOOD, "interruptions": 5}, "interruptions is 5, but a node is taken once, and there were 4"),
        ({**GOOD, "interruptions": -3}, "interruptions is -3"),
        ({**GOOD, "interruptions": True}, "interruptions is True"),
        ({"hours": 1}, "nodes is None"),
        (["hours"], "is no object"),
    ],
)
def test_an_entry_that_lies_is_left_out_and_the_others_stay(entry: object, words: str) -> None:
    read = parse_history(text_of(**{"a.large_zone-a": entry, "b.large_zone-a": GOOD}))
    assert list(read.records) == [SpotPool("b.large", "zone-a")]
    (sentence,) = read.refused
    assert "pools['a.large/zone-a']" in sentence
    assert words in sentence


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 2, "pools": {}}', '{"version": 1, "pools": 3}', "[" * 10**5]
)
def test_what_can_not_be_read_at_all_is_begun_anew(text: str) -> None:
    read = parse_history(text)
    assert not read.records
    assert "begun anew" in read.refused[0]


def test_names_that_are_no_spot_pool() -> None:
    read = parse_history(text_of(**{"a.large": GOOD, "a_b_c": GOOD, "_zone": GOOD}))
    assert not read.records
    assert all("is no INSTANCE_TYPE/ZONE" in sentence for sentence in read.refused)
    assert len(read.refused) == 3
