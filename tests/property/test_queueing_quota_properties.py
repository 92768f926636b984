"""Quotas on random queues: nothing above them, and what one's own is can be had back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spotkube.queueing.queues import Queue, Quota
from spotkube.queueing.quotas import Ledger

RESOURCES = ("cpu", "memory")


@st.composite
def quotas(draw: st.DrawFn) -> Quota:
    nominal = draw(st.integers(0, 20))
    limit = st.none() | st.integers(0, 20)
    return Quota(nominal, draw(limit), draw(st.none() | st.integers(0, nominal)))


@st.composite
def cohorts(draw: st.DrawFn) -> dict[str, Queue]:
    names = [f"q{i}" for i in range(draw(st.integers(1, 4)))]
    cohort = st.sampled_from(["x", "y", None])
    return {name: Queue(name, cohort=draw(cohort), quotas={r: draw(quotas()) for r in RESOURCES}) for name in names}


steps = st.lists(
    st.tuples(st.integers(0, 3), st.fixed_dictionaries({r: st.integers(0, 15) for r in RESOURCES}), st.booleans()),
    max_size=40,
)


def played(queues: dict[str, Queue], moves: list[tuple[int, dict[str, int], bool]]) -> Ledger:
    """A ledger after jobs came, each only if it fitted, and some left again."""
    ledger, inside = Ledger(queues), list[tuple[str, dict[str, int]]]()
    names = sorted(queues)
    for number, amounts, leaves in moves:
        if leaves and inside:
            ledger.remove(*inside.pop(number % len(inside)))
            continue
        queue = names[number % len(names)]
        if all(fits(ledger, queue, name, amount) for name, amount in amounts.items()):
            ledger.add(queue, amounts)
            inside.append((queue, amounts))
    return ledger


def fits(ledger: Ledger, queue: str, name: str, amount: int) -> bool:
    rooms = ledger.room_in_queue(queue, name), ledger.room_in_cohort(queue, name)
    return all(room is None or amount <= room for room in rooms)


def members(queues: dict[str, Queue], cohort: str | None) -> list[Queue]:
    return [queue for queue in queues.values() if queue.cohort == cohort and cohort is not None]


@given(cohorts(), steps)
def test_no_queue_passes_its_limit_and_no_cohort_what_it_has(
    queues: dict[str, Queue], moves: list[tuple[int, dict[str, int], bool]]
) -> None:
    ledger = played(queues, moves)
    for r in RESOURCES:
        for queue in queues.values():
            most = ledger.most(queue.name, r)
            assert most is None or ledger.used(queue.name, r) <= most
        for cohort in ("x", "y"):
            shared = members(queues, cohort)
            assert sum(ledger.used(q.name, r) for q in shared) <= sum(q.quotas[r].nominal for q in shared)


@given(cohorts(), steps)
def test_what_is_borrowed_is_what_others_lend_and_do_not_use(
    queues: dict[str, Queue], moves: list[tuple[int, dict[str, int], bool]]
) -> None:
    ledger = played(queues, moves)
    for r in RESOURCES:
        for cohort in ("x", "y"):
            borrowed, idle = 0, 0
            for queue in members(queues, cohort):
                quota = queue.quotas[r]
                borrowed += ledger.borrowed(queue.name, r)
                lent = quota.nominal if quota.lending_limit is None else quota.lending_limit
                idle += min(lent, max(0, quota.nominal - ledger.used(queue.name, r)))
            assert borrowed <= idle


@given(cohorts(), steps, st.integers(0, 3), st.integers(1, 20))
def test_a_queue_lacks_of_its_own_at_most_what_others_use_above_theirs(
    queues: dict[str, Queue], moves: list[tuple[int, dict[str, int], bool]], number: int, wanted: int
) -> None:
    ledger = played(queues, moves)
    queue = queues[sorted(queues)[number % len(queues)]]
    for r in RESOURCES:
        if ledger.used(queue.name, r) + wanted > queue.quotas[r].nominal:
            continue
        room = ledger.room_in_cohort(queue.name, r)
        lacking = 0 if room is None else max(0, wanted - room)
        others = [q for q in members(queues, queue.cohort) if q is not queue]
        assert lacking <= sum(ledger.borrowed(q.name, r) for q in others)


@given(cohorts(), steps)
def test_what_comes_and_leaves_leaves_nothing_behind(
    queues: dict[str, Queue], moves: list[tuple[int, dict[str, int], bool]]
) -> None:
    ledger, empty = Ledger(queues), Ledger(queues)
    names = sorted(queues)
    for number, amounts, _ in moves:
        ledger.add(names[number % len(names)], amounts)
    for number, amounts, _ in reversed(moves):
        ledger.remove(names[number % len(names)], amounts)
    for queue in queues:
        for r in RESOURCES:
            assert ledger.room_in_queue(queue, r) == empty.room_in_queue(queue, r)
            assert ledger.room_in_cohort(queue, r) == empty.room_in_cohort(queue, r)


def test_a_lending_limit_keeps_the_rest_for_its_queue() -> None:
    queues = {
        "keeps": Queue("keeps", cohort="x", quotas={"cpu": Quota(10, lending_limit=4)}),
        "takes": Queue("takes", cohort="x", quotas={"cpu": Quota(0)}),
    }
    ledger = Ledger(queues)
    assert ledger.room_in_cohort("takes", "cpu") == 4
    ledger.add("takes", {"cpu": 4})
    assert ledger.room_in_cohort("keeps", "cpu") == 6
    assert ledger.borrowed("takes", "cpu") == 4


def test_a_queue_without_a_cohort_has_its_own_and_no_more() -> None:
    ledger = Ledger({"alone": Queue("alone", quotas={"cpu": Quota(10)})})
    ledger.add("alone", {"cpu": 7, "memory": 99})
    assert (ledger.room_in_queue("alone", "cpu"), ledger.room_in_queue("alone", "memory")) == (3, None)
