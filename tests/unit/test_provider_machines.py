"""The life of an instance, told by times alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakecloud import ON_DEMAND_KEY, START, make_machine
from hypothesis import given
from hypothesis import strategies as st

from spotkube.providers.local.machines import (
    Cause,
    Errand,
    Machine,
    NotInterruptible,
    acknowledge,
    advance,
    errand,
    interrupt,
    next_change_at,
    terminate,
)
from spotkube.providers.port import InstanceState

times = st.floats(min_value=START, max_value=START + 100)


def running() -> Machine:
    return advance(make_machine(), START + 2)


def test_it_is_pending_until_it_has_booted() -> None:
    machine = make_machine()
    assert advance(machine, START + 1.999) is machine
    assert next_change_at(machine) == START + 2
    assert advance(machine, START + 2).state is InstanceState.RUNNING
    assert next_change_at(running()) is None


def test_it_ends_a_while_after_its_deletion() -> None:
    leaving = terminate(running(), START + 10, delay_seconds=1)
    assert (leaving.state, next_change_at(leaving)) == (InstanceState.TERMINATING, START + 11)
    ended = advance(leaving, START + 60)
    assert (ended.state, ended.cause, ended.ended_at) == (InstanceState.TERMINATED, Cause.DELETED, START + 11)
    assert next_change_at(ended) is None


def test_a_second_deletion_changes_nothing() -> None:
    leaving = terminate(running(), START + 10, delay_seconds=1)
    assert terminate(leaving, START + 10.5, delay_seconds=1) is leaving
    ended = advance(leaving, START + 11)
    assert terminate(ended, START + 12, delay_seconds=1) is ended


def test_a_deadline_ends_it_from_any_state() -> None:
    noticed = interrupt(make_machine(), START, notice_seconds=1, notice_id="n")
    assert advance(noticed, START + 1).state is InstanceState.TERMINATED
    slow = terminate(interrupt(running(), START + 3, notice_seconds=5, notice_id="n"), START + 4, delay_seconds=60)
    assert (advance(slow, START + 8).cause, advance(slow, START + 8).ended_at) == (Cause.DEADLINE, START + 8)


def test_deletion_before_the_deadline_is_a_deletion() -> None:
    noticed = interrupt(running(), START + 3, notice_seconds=120, notice_id="n")
    ended = advance(terminate(noticed, START + 30, delay_seconds=1), START + 500)
    assert (ended.cause, ended.ended_at) == (Cause.DELETED, START + 31)


def test_a_process_that_was_down_finds_it_ended_at_its_time() -> None:
    noticed = interrupt(make_machine(), START, notice_seconds=120, notice_id="n")
    assert advance(noticed, START + 9999).ended_at == START + 120


def test_only_an_earlier_deadline_replaces_a_notice() -> None:
    first = interrupt(running(), START + 10, notice_seconds=120, notice_id="first")
    assert interrupt(first, START + 11, notice_seconds=120, notice_id="second") is first
    told = acknowledge(replace(first, registered=True), Errand.ANNOUNCE)
    sooner = interrupt(told, START + 12, notice_seconds=30, notice_id="third")
    assert (sooner.deadline, sooner.notice_id) == (START + 42, "third")
    assert errand(sooner) is Errand.ANNOUNCE


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (make_machine(ON_DEMAND_KEY), "on-demand: only spot is taken back"),
        (terminate(make_machine(), START, 1), "terminating: choose one that runs"),
        (advance(terminate(make_machine(), START, 1), START + 1), "terminated: choose one that runs"),
    ],
)
def test_what_can_not_be_interrupted_says_why(machine: Machine, reason: str) -> None:
    with pytest.raises(NotInterruptible, match=reason):
        interrupt(machine, START + 1, notice_seconds=120, notice_id="n")


def test_errands_come_in_the_order_of_a_life() -> None:
    machine = make_machine()
    assert errand(machine) is None
    machine = interrupt(advance(machine, START + 2), START + 2, notice_seconds=10, notice_id="n")
    done = []
    for now in (START + 2, START + 2, START + 12, START + 12):
        machine = advance(machine, now)
        owed = errand(machine)
        assert owed is not None
        done.append(owed)
        machine = acknowledge(machine, owed)
    assert done == [Errand.REGISTER, Errand.ANNOUNCE, Errand.POWER_OFF, Errand.REMOVE]
    assert errand(machine) is None


def test_one_that_never_joins_owes_no_node() -> None:
    assert errand(replace(running(), joins=False)) is None


def test_one_that_is_being_terminated_joins_no_more() -> None:
    assert errand(terminate(running(), START + 3, 10)) is None


def test_one_that_ended_unregistered_is_removed_all_the_same() -> None:
    """Its Node may exist: the answer to its creation may have been lost."""
    assert errand(advance(terminate(running(), START + 3, 1), START + 4)) is Errand.POWER_OFF


@given(looks=st.lists(times), deleted_at=st.none() | times, noticed_at=st.none() | times)
def test_how_often_one_looks_makes_no_difference(
    looks: list[float], deleted_at: float | None, noticed_at: float | None
) -> None:
    def end(seen_at: list[float]) -> Machine:
        acts = [(at, "look") for at in seen_at]
        acts += [(at, act) for at, act in ((deleted_at, "delete"), (noticed_at, "notice")) if at is not None]
        machine = make_machine()
        for at, act in sorted(acts):
            machine = advance(machine, at)
            if act == "delete":
                machine = terminate(machine, at, 7)
            elif act == "notice" and machine.state in (InstanceState.PENDING, InstanceState.RUNNING):
                machine = interrupt(machine, at, 20, "n")
        return advance(machine, START + 1000)

    assert end(looks) == end([])


@given(machine=st.builds(lambda at: terminate(make_machine(), at, 5), times), now=times)
def test_nothing_changes_before_it_is_announced(machine: Machine, now: float) -> None:
    change_at = next_change_at(machine)
    assert change_at is not None
    assert (advance(machine, now) is machine) == (now < change_at)
