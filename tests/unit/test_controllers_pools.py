"""What NodePools and FairQueues say of themselves, and how pools end."""

from __future__ import annotations

from typing import Any

import pytest

from builders import make_claim, make_offering, make_pool
from controller_builders import UNAVAILABLE, World
from fake_kube import START
from spotkube.api import NodePool
from spotkube.cluster.resources import EVENTS, FAIRQUEUES, NODECLAIMS, NODEPOOLS, NODES, PODS
from spotkube.controllers.headroom import Headroom
from spotkube.controllers.pools import pool_status, why_nothing_for_sale
from spotkube.model.cluster import ClaimPhase
from spotkube.model.labels import TERMINATION_FINALIZER
from spotkube.providers.port import InstanceState

OFFERING = make_offering("m.large", 0.1)


def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.kube.one(NODEPOOLS, "pool")["status"]
    return found


def condition(found: dict[str, Any], type_: str) -> tuple[str, str]:
    one = next(c for c in found["conditions"] if c["type"] == type_)
    return one["status"], one["message"]


class TestStatus:
    async def test_it_counts_what_there_is(self) -> None:
        world = World()
        await world.up_and_running()

        found = status(world)

        assert (found["nodes"], found["readyNodes"], found["usdPerHour"]) == (1, 1, 0.03)
        assert found["resources"] == {"cpu": "2", "memory": "8388608Ki", "pods": "20"}
        assert condition(found, "Ready") == ("True", "mode Apply is in force")

    async def test_when_the_last_node_goes_so_do_its_resources_and_then_it_is_quiet(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.kube.drop(NODECLAIMS, name)
        world.kube.drop(NODES, name)
        world.kube.drop(PODS, "web-1", "shop")
        world.cloud.become(f"i-{name}", InstanceState.TERMINATED)

        await world.cycle()
        assert status(world)["resources"] == {}
        world.kube.writes.clear()
        await world.cycles(3)

        assert world.kube.writes == []

    @pytest.mark.parametrize(
        ("limits", "reached"),
        [
            ({"limit_nodes": 2}, ["limits.nodes"]),
            ({"limit_nodes": 3}, []),
            ({"limit_micro_usd_hour": 200_000}, ["limits.usdPerHour"]),
            ({"limit_resources": (("cpu", 4000), ("memory", 10**12))}, ["limits.resources.cpu"]),
            ({"limit_resources": (("nvidia.com/gpu", 0),)}, ["limits.resources.nvidia.com/gpu"]),
        ],
    )
    def test_limits(self, limits: dict[str, Any], reached: list[str]) -> None:
        claims = [
            make_claim("a", OFFERING),
            make_claim("b", OFFERING),
            make_claim("noticed", OFFERING, deadline=START),
            make_claim("gone", OFFERING, phase=ClaimPhase.TERMINATED),
            make_claim("of-another", OFFERING, pool="other"),
        ]

        assert Headroom.of(make_pool(**limits), claims).reached() == reached

    def test_a_claim_that_drains_without_a_notice_still_counts(self) -> None:
        draining = make_claim("a", OFFERING, phase=ClaimPhase.DRAINING, deleting=True)

        assert Headroom.of(make_pool(limit_nodes=1), [draining]).reached() == ["limits.nodes"]

    def test_a_node_without_the_limited_resource_may_be_bought_beyond_it(self) -> None:
        pool = make_pool(limit_resources=(("nvidia.com/gpu", 0), ("cpu", 2000)))
        headroom = Headroom.of(pool, [])

        assert headroom.take(make_offering(gpu=1)) is False
        assert [headroom.take(OFFERING), headroom.take(OFFERING)] == [True, False]

    def test_a_condition_keeps_its_time_while_it_holds(self) -> None:
        pool = NodePool.from_dict({"metadata": {"name": "pool", "generation": 1}, "spec": {}})
        first = pool_status(pool, make_pool(), [], START)
        pool = pool.model_copy(update={"status": first})

        assert pool_status(pool, make_pool(), [], START + 500) == first
        full = pool_status(pool, make_pool(limit_nodes=0), [], START + 500)
        times = {c.type: c.last_transition_time.timestamp() for c in full.conditions}
        assert times == dict.fromkeys(["Ready", "DisruptionAllowed", "Buying", "RepairAllowed"], START) | {
            "LimitReached": START + 500
        }


class TestNothingForSale:
    @pytest.mark.parametrize(
        ("requirements", "words"),
        [
            ([{"key": "kubernetes.io/arch", "operator": "In", "values": ["x86"]}], "meets kubernetes.io/arch In"),
            (
                [
                    {"key": "spotkube.io/capacity-type", "operator": "In", "values": ["spot"]},
                    {"key": "spotkube.io/capacity-type", "operator": "NotIn", "values": ["spot"]},
                ],
                "meets all of its requirements together",
            ),
        ],
    )
    async def test_a_pool_that_can_buy_nothing_says_so_once(self, requirements: list[Any], words: str) -> None:
        world = World()
        world.cloud.for_sale = (OFFERING, make_offering("m.large", 0.03, spot=True))
        world.add_pool(template={"spec": {"requirements": requirements}})

        await world.cycles(3)
        await world.tools.recorder.flush()

        ready, message = condition(status(world), "Ready")
        assert ready == "False"
        assert words in message
        (event,) = world.kube.all(EVENTS)
        assert (event["type"], event["reason"], event["regarding"]["name"]) == ("Warning", "NothingForSale", "pool")
        assert event["note"] == message

    def test_a_bound_on_risk_may_be_what_excludes_all(self) -> None:
        spot = make_offering("m.large", 0.03, spot=True, percent=15)
        careful = make_pool(max_interruption_percent=10)
        assert why_nothing_for_sale(careful, [spot]).endswith("or raise spec.spot.maxInterruptionPercent")
        assert why_nothing_for_sale(make_pool(), [spot]) == ""

    async def test_labels_of_its_own_and_a_cloud_that_is_silent_are_no_reason(self) -> None:
        world = World()
        own = [{"key": "example.com/team", "operator": "In", "values": ["a"]}]
        world.add_pool(template={"metadata": {"labels": {"example.com/team": "a"}}, "spec": {"requirements": own}})
        world.add_pool("x86", template={"spec": {"requirements": [{**own[0], "key": "kubernetes.io/arch"}]}})
        world.cloud.for_sale = ()
        await world.cycle()
        assert condition(world.kube.one(NODEPOOLS, "x86")["status"], "Ready")[0] == "True"

        world.cloud.for_sale = (OFFERING,)
        await world.cycle()
        assert condition(world.kube.one(NODEPOOLS, "x86")["status"], "Ready")[0] == "False"
        assert condition(status(world), "Ready")[0] == "True"


async def test_a_limit_that_is_reached_is_an_event() -> None:
    world = World()
    world.add_pool(limits={"nodes": 0})
    await world.cycles(2)
    await world.tools.recorder.flush()
    (event,) = world.kube.all(EVENTS)
    assert (event["reason"], event["note"]) == ("LimitReached", "nothing more may be bought: limits.nodes")


class TestEnd:
    async def test_a_new_pool_gets_our_finalizer_beside_those_of_others(self) -> None:
        world = World()
        world.add_pool()
        world.kube.change(NODEPOOLS, "pool", {"metadata": {"finalizers": ["x/y"]}})

        await world.cycles(2)

        assert world.kube.one(NODEPOOLS, "pool")["metadata"]["finalizers"] == ["x/y", TERMINATION_FINALIZER]

    async def test_it_stays_until_its_claims_are_gone(self) -> None:
        world = World()
        await world.up_and_running()
        world.kube.mark_deleted(NODEPOOLS, "pool")

        await world.cycles(4)

        assert (NODEPOOLS, None, "pool") in world.kube.objects

    async def test_one_that_never_had_any_goes_at_once(self) -> None:
        world = World()
        world.add_pool()
        world.kube.mark_deleted(NODEPOOLS, "pool")

        await world.cycle()

        assert (NODEPOOLS, None, "pool") not in world.kube.objects

    async def test_claims_that_only_the_cache_misses_hold_it(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.kube.mark_deleted(NODEPOOLS, "pool")
        claim = world.kube.one(NODECLAIMS, name)
        world.kube.drop(NODECLAIMS, name)
        view = await world.look()
        world.kube.put(NODECLAIMS, claim)

        await world.controllers.pools.reconcile(view, {})

        assert (NODEPOOLS, None, "pool") in world.kube.objects

    async def test_an_error_of_one_does_not_hold_up_the_others(self) -> None:
        world = World()
        world.add_pool("a")
        world.add_pool("b")
        world.kube.refuse["patch nodepools/a"] = UNAVAILABLE

        await world.cycle()

        assert world.kube.one(NODEPOOLS, "b")["status"]["nodes"] == 0


class TestQueues:
    async def test_a_queue_in_which_nobody_waits_says_once_that_it_admits(self) -> None:
        world = World()
        world.kube.put(
            FAIRQUEUES,
            {
                "apiVersion": "spotkube.io/v1alpha1",
                "kind": "FairQueue",
                "metadata": {"name": "all"},
                "spec": {},
            },
        )

        await world.cycles(3, seconds=600)

        assert world.kube.writes == ["patch fairqueues/all/status"]
        (told,) = world.kube.one(FAIRQUEUES, "all")["status"]["conditions"]
        assert told["status"] == "True"
