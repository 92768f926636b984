"""A pod that we evicted asks for its room until its heir is there."""

from dataclasses import replace

from builders import make_pod
from controller_builders import World
from spotkube.cluster.resources import NODECLAIMS, PODS
from spotkube.controllers.displaced import REMEMBERED_SECONDS, DisplacedPods
from spotkube.model.pods import Pod

NONE_KNOWN: dict[tuple[str, str], int] = {}


def evicted(name: str, owner: str = "Job/train") -> Pod:
    return make_pod(name, owner=owner, node="n1")


def heir(name: str, created_at: float, owner: str = "Job/train") -> Pod:
    return replace(make_pod(name, owner=owner), created_at=created_at)


def test_it_waits_under_its_own_name_though_it_still_stands_on_the_node() -> None:
    displaced = DisplacedPods()
    pod = evicted("a")
    displaced.add(pod, 100)

    (waiting,) = displaced.waiting(NONE_KNOWN)

    assert waiting.uid == pod.uid
    assert waiting.node is None
    assert waiting.unschedulable


def test_what_is_made_of_it_can_be_kept_from_cycle_to_cycle() -> None:
    displaced = DisplacedPods()
    displaced.add(evicted("a"), 100)

    (first,) = displaced.waiting(NONE_KNOWN)
    displaced.add(evicted("a"), 101)

    assert displaced.waiting(NONE_KNOWN)[0] is first


async def test_so_can_what_is_made_of_a_pod_that_has_a_place() -> None:
    world = World()
    world.add_pool()
    world.add_pod("web-1")
    await world.cycles(2)

    first, second = await world.observer.look(), await world.observer.look()

    ((uid, pod),) = first.pods.items()
    assert pod.nominated
    assert second.pods[uid] is pod


def test_until_its_heir_comes_who_is_told_once() -> None:
    displaced = DisplacedPods()
    displaced.add(evicted("a"), 100)
    young = heir("b", created_at=110)

    assert displaced.settle([heir("old", created_at=50)], 105) == {}
    assert displaced.settle([young], 110) == {young.uid: evicted("a").uid}
    assert displaced.settle([young], 111) == {}
    assert displaced.waiting(NONE_KNOWN) == []


def test_where_it_was_is_known_of_it_and_of_its_heir_for_a_while() -> None:
    displaced = DisplacedPods()
    displaced.add(evicted("a"), 100)
    young = heir("b", created_at=110)
    displaced.settle([young], 110)

    assert displaced.left == {evicted("a").uid: "n1", young.uid: "n1"}
    displaced.settle([], 101 + 3 * REMEMBERED_SECONDS)
    assert displaced.left == {}


def test_one_heir_follows_one_pod() -> None:
    displaced = DisplacedPods()
    for name in ("a", "b"):
        displaced.add(evicted(name), 100)

    displaced.settle([heir("c", created_at=110)], 110)

    assert len(displaced.waiting(NONE_KNOWN)) == 1


def test_a_pod_of_another_owner_or_shape_is_no_heir() -> None:
    displaced = DisplacedPods()
    displaced.add(evicted("a"), 100)
    larger = replace(make_pod("c", owner="Job/train", cpu="7"), created_at=110)

    assert displaced.settle([heir("b", created_at=110, owner="Job/other"), larger], 110) == {}


def test_a_bare_pod_has_no_heir() -> None:
    displaced = DisplacedPods()
    displaced.add(evicted("a", owner=""), 100)

    assert displaced.waiting(NONE_KNOWN) == []


def test_an_owner_that_wants_no_more_pods_gets_no_room() -> None:
    displaced = DisplacedPods()
    for name in ("a", "b", "c"):
        displaced.add(evicted(name), 100)
    namespace = evicted("a").namespace

    assert len(displaced.waiting({(namespace, "Job/train"): 2})) == 2
    assert displaced.waiting({(namespace, "Job/train"): 0}) == []


def test_who_is_not_made_anew_in_time_is_forgotten() -> None:
    displaced = DisplacedPods()
    displaced.add(evicted("a"), 100)

    displaced.settle([], 100 + REMEMBERED_SECONDS + 1)

    assert displaced.waiting(NONE_KNOWN) == []


async def test_the_room_is_bought_before_the_pod_is_made_anew_and_only_once() -> None:
    world = World()
    name = await world.up_and_running()
    world.kube.mark_deleted(NODECLAIMS, name)
    await world.cycles(2)
    world.pods_end()
    await world.cycles(4)

    (replacement,) = [order.name for order in world.cloud.sold if order.name != name]
    world.add_pod("web-2")
    await world.cycles(4)

    assert [order.name for order in world.cloud.sold] == [name, replacement]
    assert world.placement.awaited == {replacement}
    [toleration] = world.kube.objects[PODS, "shop", "web-2"]["spec"]["tolerations"]
    assert toleration["value"] == next(claim for claim in world.claims if claim.name == replacement).metadata.uid
