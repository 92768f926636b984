"""Work that goes on beside the cycle is finished once it is begun, and never done twice at a time."""

import asyncio

import pytest

from spotkube.controllers.ongoing import Ongoing
from spotkube.controllers.toolbox import CONCURRENT_CALLS, NotLeading

MANY = {f"item-{i}": i for i in range(CONCURRENT_CALLS + 3)}
PATIENCE_SECONDS = 10.0


class Desk:
    """Works on items once the door is open."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.done: list[int] = []
        self.door = asyncio.Event()
        self.error: Exception | None = None

    async def work(self, item: int) -> None:
        self.begun.append(item)
        await self.door.wait()
        if self.error is not None:
            raise self.error
        self.done.append(item)


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def test_all_is_done_when_there_is_time(desk: Desk) -> None:
    desk.door.set()

    await Ongoing(desk.work).go_on(MANY, PATIENCE_SECONDS)

    assert sorted(desk.done) == sorted(MANY.values())


async def test_it_goes_on_after_the_time_and_what_is_begun_is_not_begun_again(desk: Desk) -> None:
    ongoing = Ongoing(desk.work)

    await ongoing.go_on(MANY, 0.0)
    await ongoing.go_on(MANY, 0.0)
    assert len(desk.begun) == CONCURRENT_CALLS
    assert not desk.done
    desk.door.set()
    await ongoing.go_on(MANY, PATIENCE_SECONDS)

    assert sorted(desk.done) == sorted(MANY.values())


async def test_what_waits_is_replaced_by_what_is_told_last(desk: Desk) -> None:
    ongoing = Ongoing(desk.work)
    await ongoing.go_on(MANY, 0.0)
    first = set(desk.begun)

    desk.door.set()
    await ongoing.go_on({"other": -1}, PATIENCE_SECONDS)

    assert set(desk.done) == first | {-1}


async def test_nobody_waits_for_the_slowest_of_those_before() -> None:
    slow, done = asyncio.Event(), []

    async def work(item: int) -> None:
        if item < 0:
            await slow.wait()
        await asyncio.sleep(0)
        done.append(item)

    ongoing = Ongoing(work)
    await ongoing.go_on({"slow": -1, "slower": -2}, 0.0)
    await ongoing.go_on({"slow": -1, "slower": -2, **MANY}, 0.0)
    for _ in range(100):
        await asyncio.sleep(0)

    assert sorted(done) == sorted(MANY.values())
    assert ongoing.busy
    slow.set()
    await ongoing.go_on({}, PATIENCE_SECONDS)
    assert not ongoing.busy


async def test_an_error_is_raised_once_and_the_others_are_done(desk: Desk) -> None:
    ongoing = Ongoing(desk.work)
    desk.error = ValueError("one")
    desk.door.set()
    with pytest.raises(ValueError, match="one"):
        await ongoing.go_on(MANY, PATIENCE_SECONDS)

    desk.error = None
    await ongoing.go_on(MANY, PATIENCE_SECONDS)

    assert sorted(desk.done) == sorted(MANY.values())


async def test_without_the_lease_nothing_more_is_begun(desk: Desk) -> None:
    desk.error = NotLeading()
    desk.door.set()

    with pytest.raises(NotLeading):
        await Ongoing(desk.work).go_on(MANY, PATIENCE_SECONDS)

    assert len(desk.begun) <= CONCURRENT_CALLS


async def test_what_is_forgotten_raises_nothing_later(desk: Desk) -> None:
    ongoing = Ongoing(desk.work)
    await ongoing.go_on(MANY, 0.0)
    desk.error = NotLeading()

    ongoing.forget()
    desk.door.set()
    await asyncio.sleep(0)
    desk.error = None
    await ongoing.go_on({"other": -1}, PATIENCE_SECONDS)

    assert -1 in desk.done
    assert len(desk.begun) == CONCURRENT_CALLS + 1


async def test_what_was_begun_before_it_was_forgotten_has_no_part_in_what_is_done_since() -> None:
    old, new = asyncio.Event(), asyncio.Event()
    begun: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        await (old if item < len(MANY) else new).wait()
        if item < len(MANY):
            raise NotLeading

    ongoing = Ongoing(work)
    await ongoing.go_on(MANY, 0.0)
    ongoing.forget()
    later = {f"later-{i}": len(MANY) + i for i in range(2 * CONCURRENT_CALLS)}
    await ongoing.go_on(later, 0.0)

    old.set()
    await asyncio.sleep(0.01)
    new.set()
    await asyncio.sleep(0.01)

    assert set(later.values()) <= set(begun), "those of before made an end of it"


async def test_who_waited_comes_before_those_who_had_their_turn() -> None:
    gate, begun = asyncio.Semaphore(0), list[str]()

    async def work(item: str) -> None:
        begun.append(item)
        await gate.acquire()

    ongoing, items = Ongoing(work, at_once=1), {"a": "a", "b": "b", "c": "c"}
    await ongoing.go_on(items, 0.0)
    gate.release()
    for _ in range(20):
        await asyncio.sleep(0)
    assert begun == ["a", "b"]
    await ongoing.go_on(items, 0.0)  # the next cycle, for which there is something to do with each again
    for _ in range(3):
        gate.release()
    await ongoing.go_on({"a": "a", "c": "c"}, PATIENCE_SECONDS)

    assert begun == ["a", "b", "c", "a"]


async def test_where_turns_are_told_who_waited_comes_when_it_is_its_turn(desk: Desk) -> None:
    ongoing = Ongoing(desk.work, in_order=True)
    await ongoing.go_on(MANY, 0.0)
    waiting = [item for item in MANY.values() if item not in desk.begun]
    new = {"first": -1, "second": -2}

    desk.door.set()
    await ongoing.go_on(new | {f"item-{item}": item for item in waiting}, PATIENCE_SECONDS)

    assert desk.begun[CONCURRENT_CALLS:] == [-1, -2, *waiting]


async def test_what_is_added_is_begun_at_once_and_nobody_waits_for_it(desk: Desk) -> None:
    ongoing = Ongoing(desk.work)

    ongoing.add("item-0", 0)
    await asyncio.sleep(0)
    ongoing.add("item-0", 0)
    await ongoing.go_on({"item-0": 0, "item-1": 1}, 0.0)
    assert desk.begun == [0, 1]

    desk.door.set()
    await ongoing.go_on({}, PATIENCE_SECONDS)
    assert sorted(desk.done) == [0, 1]


async def test_what_goes_wrong_with_it_is_told_with_the_next(desk: Desk) -> None:
    ongoing = Ongoing(desk.work)
    desk.error = NotLeading("another leads")
    desk.door.set()

    ongoing.add("item-0", 0)
    await asyncio.sleep(0.01)

    with pytest.raises(NotLeading):
        await ongoing.go_on({}, PATIENCE_SECONDS)
