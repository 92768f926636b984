"""The fake cloud keeps the port's promises, also across restarts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakecloud import ON_DEMAND_KEY, SPOT_KEY, Clock, make_order, make_pod, open_cloud

from spotkube.model.offerings import OfferingKey
from spotkube.providers.local.cloud import RECALL_SECONDS, FakeCloud
from spotkube.providers.local.machines import Errand
from spotkube.providers.local.store import Store, StoreError
from spotkube.providers.local.wire import CapacityMessage, FaultsMessage, format_key
from spotkube.providers.port import InstanceState, InsufficientCapacity, ProviderError


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cloud(tmp_path: Path, clock: Clock) -> Iterator[FakeCloud]:
    cloud, store = open_cloud(tmp_path / "cloud.db", clock)
    yield cloud
    store.close()


def events(cloud: FakeCloud) -> list[str]:
    return [event.event for event in cloud.events()]


def test_one_token_buys_one_machine(cloud: FakeCloud, clock: Clock) -> None:
    first, bought = cloud.create(make_order())
    clock.pass_by(60)
    again, bought_again = cloud.create(make_order())
    assert (bought, bought_again) == (True, False)
    assert again.id == first.id
    assert events(cloud).count("launched") == 1


def test_the_token_of_a_terminated_machine_buys_nothing(cloud: FakeCloud, clock: Clock) -> None:
    first, _ = cloud.create(make_order())
    cloud.delete(first.id)
    clock.pass_by(RECALL_SECONDS + 100)
    again, bought = cloud.create(make_order())
    assert (again.id, again.state, bought) == (first.id, InstanceState.TERMINATED, False)


def test_capacity_is_what_lives_at_once(cloud: FakeCloud, clock: Clock) -> None:
    cloud.set_capacity(CapacityMessage(limits={format_key(SPOT_KEY): 1}))
    first, _ = cloud.create(make_order("a"))
    with pytest.raises(InsufficientCapacity) as refusal:
        cloud.create(make_order("b"))
    assert refusal.value.offering == SPOT_KEY
    assert cloud.create(make_order("a"))[0].id == first.id, "what was bought is not refused afterwards"
    cloud.create(make_order("c", ON_DEMAND_KEY))

    cloud.delete(first.id)
    with pytest.raises(InsufficientCapacity):
        cloud.create(make_order("b"))
    clock.pass_by(1)
    cloud.create(make_order("b"))


def test_the_default_limit_holds_where_there_is_no_other(cloud: FakeCloud) -> None:
    cloud.set_capacity(CapacityMessage(default=0, limits={format_key(SPOT_KEY): 1}))
    cloud.create(make_order("a", SPOT_KEY))
    with pytest.raises(InsufficientCapacity):
        cloud.create(make_order("b", ON_DEMAND_KEY))
    cloud.set_capacity(CapacityMessage(default=None))
    cloud.create(make_order("b", ON_DEMAND_KEY))
    assert cloud.capacity() == {
        "default": None,
        "limits": {format_key(SPOT_KEY): 1},
        "used": {format_key(SPOT_KEY): 1, format_key(ON_DEMAND_KEY): 1},
    }


def test_a_sold_out_offering_is_refused_until_the_fault_is_lifted(cloud: FakeCloud) -> None:
    cloud.set_faults(FaultsMessage(insufficient=(format_key(SPOT_KEY),)))
    with pytest.raises(InsufficientCapacity):
        cloud.create(make_order())
    cloud.set_faults(FaultsMessage())
    cloud.create(make_order())
    assert events(cloud) == ["refused", "launched"]


def test_what_is_not_sold_is_refused_by_name(cloud: FakeCloud) -> None:
    with pytest.raises(ProviderError, match=r"offering: x1\.huge spot in mars-1 is not sold here"):
        cloud.create(make_order(key=OfferingKey("x1.huge", "mars-1", "spot")))


def test_a_name_can_not_be_two_nodes(cloud: FakeCloud, clock: Clock) -> None:
    first, _ = cloud.create(make_order("a", token="one"))
    with pytest.raises(ProviderError, match="name: 'a' is the name of i-"):
        cloud.create(make_order("a", token="two"))
    cloud.delete(first.id)
    clock.pass_by(1)
    cloud.create(make_order("a", token="two"))


def test_deleting_the_unknown_is_no_error(cloud: FakeCloud) -> None:
    cloud.delete("i-unknown")
    assert cloud.get("i-unknown") is None
    assert cloud.interrupt("i-unknown", 120) is None
    assert events(cloud) == []


def test_terminated_machines_are_listed_for_an_hour(cloud: FakeCloud, clock: Clock) -> None:
    machine, _ = cloud.create(make_order())
    cloud.delete(machine.id)
    clock.pass_by(1)
    assert [each.state for each in cloud.list()] == [InstanceState.TERMINATED]
    clock.pass_by(RECALL_SECONDS)
    assert cloud.list() == ()
    assert cloud.get(machine.id) is not None


def test_faults_are_used_up_one_by_one(cloud: FakeCloud) -> None:
    cloud.set_faults(FaultsMessage(drop_answers=2, never_register=1))
    assert [cloud.drops_answer() for _ in range(3)] == [True, True, False]
    assert [cloud.create(make_order(name))[0].joins for name in "ab"] == [False, True]


def test_a_machine_that_dies_early_is_on_its_way_out_as_soon_as_it_is_bought(cloud: FakeCloud, clock: Clock) -> None:
    cloud.set_faults(FaultsMessage(die_early=1))
    assert [cloud.create(make_order(name))[0].state for name in "ab"] == [
        InstanceState.TERMINATING,
        InstanceState.PENDING,
    ]
    clock.pass_by(1)
    assert [each.state for each in cloud.list()] == [InstanceState.TERMINATED, InstanceState.PENDING]
    assert "failed" in events(cloud)


def test_the_log_names_the_pods_that_a_deadline_took(cloud: FakeCloud, clock: Clock) -> None:
    machine, _ = cloud.create(make_order())
    noticed = cloud.interrupt(machine.id, 120)
    assert noticed is not None
    clock.pass_by(300)
    [ended] = cloud.list()
    cloud.acknowledge(ended, Errand.POWER_OFF, (make_pod("web-1"),))
    [event] = [each for each in cloud.events() if each.event == "terminated"]
    assert (event.at, event.detail["cause"]) == (noticed.deadline, "deadline")
    assert event.detail["lost_pods"][0]["name"] == "web-1"
    assert cloud.events(after=event.sequence) == ()


def test_an_earlier_deadline_is_announced_though_the_first_was_under_way(cloud: FakeCloud, clock: Clock) -> None:
    machine, _ = cloud.create(make_order())
    clock.pass_by(2)
    cloud.acknowledge(machine, Errand.REGISTER)
    first = cloud.interrupt(machine.id, 120)
    second = cloud.interrupt(machine.id, 30)
    assert first is not None
    assert second is not None
    cloud.acknowledge(first, Errand.ANNOUNCE)
    assert [each.announced for each in cloud.list()] == [False]
    cloud.acknowledge(second, Errand.ANNOUNCE)
    assert [each.announced for each in cloud.list()] == [True]


def test_a_restart_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    cloud, store = open_cloud(tmp_path / "cloud.db", clock)
    cloud.set_capacity(CapacityMessage(default=7, limits={format_key(SPOT_KEY): 3}))
    for name in ("pending", "noticed", "ended"):
        cloud.create(make_order(name))
    _, noticed, ended = cloud.list()
    cloud.interrupt(noticed.id, 120)
    cloud.delete(ended.id)
    clock.pass_by(1)
    before = (cloud.list(), cloud.capacity(), cloud.events())
    store.close()

    cloud, store = open_cloud(tmp_path / "cloud.db", clock)
    assert (cloud.list(), cloud.capacity(), cloud.events()) == before
    assert cloud.create(make_order("pending"))[1] is False
    store.close()


def test_two_clouds_can_not_share_their_state(tmp_path: Path, clock: Clock) -> None:
    _, store = open_cloud(tmp_path / "cloud.db", clock)
    with pytest.raises(StoreError, match=r"state: .*cloud\.db is in use by another fake cloud"):
        Store(tmp_path / "cloud.db", wait_seconds=0)
    store.close()
    Store(tmp_path / "cloud.db").close()


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, and they are no database at all\n" * 50)
    with pytest.raises(StoreError, match=r"state: .*notes\.txt can't be used \(file is not a database\)"):
        Store(path)
    assert path.read_text().startswith("these are my notes")
