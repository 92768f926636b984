"""Collections of Python's garbage walk through what is new, not through all that a large cluster's operator holds."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from spotkube.pauses import keep_pauses_short


class Thing:
    """Something that may refer to itself."""

    itself: object


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    keep_pauses_short()
    yield
    gc.callbacks[:] = callbacks
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_what_outlives_a_collection_is_not_walked_through_again() -> None:
    held = [Thing() for _ in range(1000)]
    gc.collect()
    walked = {id(one) for one in gc.get_objects()}
    assert walked.isdisjoint(map(id, held))


def test_it_goes_all_the_same_when_nothing_refers_to_it() -> None:
    held = Thing()
    told = weakref.ref(held)
    gc.collect()
    del held
    assert told() is None


def test_new_cycles_are_collected() -> None:
    gc.collect()
    ring = Thing()
    ring.itself, told = ring, weakref.ref(ring)
    del ring
    gc.collect()
    assert told() is None


def test_asked_for_twice_it_is_done_once() -> None:
    before = len(gc.callbacks)
    keep_pauses_short()
    assert len(gc.callbacks) == before
