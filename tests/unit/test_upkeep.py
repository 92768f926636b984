"""Nodes that are old, drifted or sick, prices that lie, and purchases that run away."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_node, make_offering, make_pod, make_pool, taint
from controller_builders import World
from fake_kube import START
from spotkube.api import NodeClaim
from spotkube.api.nodepool import NodePool
from spotkube.cluster.resources import NODEPOOLS
from spotkube.controllers.upkeep.advice import advised
from spotkube.controllers.upkeep.brake import ALLOWED_FAILURES, FIRST_PAUSE_SECONDS, PurchaseBrake
from spotkube.controllers.upkeep.prices import FACTOR, HELD_SECONDS, PriceCheck
from spotkube.controllers.upkeep.renewal import SPREAD, drifted, expired
from spotkube.controllers.upkeep.sickness import SickNodes
from spotkube.controllers.view import View
from spotkube.model.cluster import Claim, ClaimPhase, Mode, Node, Pool, Rebalance, Snapshot
from spotkube.model.disruption import Disruptable
from spotkube.model.labels import NODECLAIM
from spotkube.model.offerings import Offering
from spotkube.model.pods import Pod
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import Operator, Requirement
from spotkube.planner.formulation.kinds import node_labels

OFFERING = make_offering("m.large", 0.03)
HOUR = 3600.0


def make_claim(name: str = "n-1", **fields: Any) -> Claim:
    """In use since START, bought as pool "pool" says."""
    labels = {**dict(node_labels(Pool("pool"), OFFERING)), NODECLAIM: name, **fields.pop("labels", {})}
    known: dict[str, Any] = {
        "taints": (),
        "startup_taints": (),
        "uid": f"uid-{name}",
        "pool": "pool",
        "node": name,
        "created_at": START,
        **fields,
    }
    return Claim(
        name=name,
        offering=OFFERING.key,
        price_micro_usd_hour=30_000,
        allocatable=ResourceList({"cpu": 2000}),
        labels=tuple(sorted(labels.items())),
        phase=known.pop("phase", ClaimPhase.READY),
        **known,
    )


def seen(claims: list[Claim], pool: Pool, now: float = START, nodes: tuple[Node, ...] = ()) -> View:
    pool = replace(pool, mode=Mode.APPLY) if pool.mode is Mode.RECOMMEND else pool
    snapshot = Snapshot(taken_at=now, claims=tuple(claims), pools=(pool,), nodes=nodes, offerings=(OFFERING,))
    there = {node.name: node for node in nodes}
    return View(now=now, snapshot=snapshot, pools={}, claims={}, workloads=(), nodes=there, pods={}, pods_as_stored={})


def names(found: tuple[Disruptable, ...]) -> list[str]:
    return [one.claim for one in found]


class TestExpiry:
    def test_none_before_its_time_and_all_after_it_the_oldest_first(self) -> None:
        pool = make_pool("pool", expire_after_seconds=10 * HOUR)
        fleet = [make_claim(f"n-{n}", created_at=START - n) for n in range(50)]

        assert expired(seen(fleet, pool, START + 10 * HOUR * (1 - SPREAD) - 60)) == ()
        soon = expired(seen(fleet, pool, START + 10 * HOUR * (1 - SPREAD / 2)))
        assert 10 < len(soon) < 40, "a fleet that was bought at once is spread"
        due = expired(seen(fleet, pool, START + 10 * HOUR))
        assert names(due) == [f"n-{n}" for n in reversed(range(50))]
        assert due[0].message == "it is 10.0 h old, and nodes of NodePool pool live for 10.0 h at most"

    @pytest.mark.parametrize(
        "pool",
        [make_pool("pool"), make_pool("pool", expire_after_seconds=1.0, mode=Mode.PAUSED)],
        ids=["without a limit", "a pool that does not apply"],
    )
    def test_nodes_live_on(self, pool: Pool) -> None:
        assert expired(seen([make_claim()], pool, START + 1e9)) == ()

    def test_those_that_are_on_their_way_are_left_alone(self) -> None:
        pool = make_pool("pool", expire_after_seconds=1.0)
        fleet = [make_claim("new", phase=ClaimPhase.LAUNCHED), make_claim("going", deleting=True)]
        assert expired(seen(fleet, pool, START + 100)) == ()


class TestDrift:
    def test_what_is_as_its_pool_says_has_not_drifted(self) -> None:
        pool = make_pool("pool", labels=(("team", "a"),), taints=(taint("dedicated"),))
        claim = make_claim(labels={"team": "a"}, taints=(taint("dedicated"),))
        assert drifted(seen([claim], pool)) == ()

    @pytest.mark.parametrize(
        ("pool", "words"),
        [
            (make_pool("pool", labels=(("team", "b"),)), "label team is 'a', and 'b' in its NodePool's template"),
            (make_pool("pool", labels=(("tier", "x"), ("team", "a"))), "label tier is None, and 'x'"),
            (make_pool("pool"), "label team is no longer in its NodePool's template"),
            (make_pool("pool", labels=(("team", "a"),), taints=(taint("dedicated"),)), "taint dedicated"),
            (
                make_pool(
                    "pool",
                    labels=(("team", "a"),),
                    requirements=(Requirement("topology.kubernetes.io/zone", Operator.IN, ("zone-b",)),),
                ),
                "requirements any more",
            ),
        ],
    )
    def test_what_differs_is_told(self, pool: Pool, words: str) -> None:
        (found,) = drifted(seen([make_claim(labels={"team": "a"})], pool))
        assert words in found.message

    def test_a_catalog_that_knows_more_labels_renews_nothing(self) -> None:
        """And so does one that no longer knows the offering."""
        pool, claim = make_pool("pool"), make_claim()
        view = seen([claim], pool)
        richer = replace(OFFERING, labels=(*OFFERING.labels, ("example.com/new", "x")))
        for offerings in ((richer,), ()):
            snapshot = replace(view.snapshot, offerings=cast("tuple[Offering, ...]", offerings))
            assert drifted(replace(view, snapshot=snapshot)) == ()


class TestAdvice:
    def look(self, *pods: Pod, warned: bool = True, phase: ClaimPhase = ClaimPhase.READY, **pool: Any) -> list[str]:
        fleet = [make_claim(name, phase=phase) for name in sorted({pod.node or "" for pod in pods})]
        view = seen(fleet, make_pool("pool", **{"rebalance": Rebalance.REPLACE, **pool}))
        status = SimpleNamespace(status=SimpleNamespace(warning=object() if warned else None))
        claims = cast("dict[str, NodeClaim]", {claim.name: status for claim in fleet})
        there = {claim.name: tuple(pod for pod in pods if pod.node == claim.name) for claim in fleet}
        return names(advised(replace(view, claims=claims, pods_on=there), margin_seconds=5))

    def pod(self, grace_seconds: int, node: str = "n-1", **fields: Any) -> Pod:
        return replace(make_pod(node=node), grace_seconds=grace_seconds, **fields)

    def test_only_what_a_notice_would_cut_off_is_worth_a_restart_now(self) -> None:
        assert self.look(self.pod(115)) == []
        assert self.look(self.pod(116), self.pod(10)) == ["n-1"]
        assert self.look(self.pod(600, do_not_disrupt=True), self.pod(600, daemon=True)) == []

    def test_those_that_would_lose_most_go_first(self) -> None:
        few, many = self.pod(400, "n-1"), (self.pod(300, "n-2"), self.pod(300, "n-2"))
        assert self.look(few, *many) == ["n-2", "n-1"]

    def test_who_was_not_warned_or_does_not_want_it_stays(self) -> None:
        slow = self.pod(600)
        assert self.look(slow, warned=False) == []
        assert self.look(slow, phase=ClaimPhase.REGISTERED) == []
        assert self.look(slow, rebalance=Rebalance.AVOID) == []
        assert self.look(slow, mode=Mode.PAUSED) == []


class TestSickness:
    def look(self, sick: SickNodes, number: int, of: int, now: float, **pool: Any) -> list[str]:
        fleet = [make_claim(f"n-{n}") for n in range(of)]
        nodes = tuple(make_node(f"n-{n}", claim=f"n-{n}", ready=n >= number) for n in range(of))
        return names(sick.due(seen(fleet, make_pool("pool", **pool), now, nodes)))

    def test_one_that_stays_sick_is_replaced(self) -> None:
        sick = SickNodes()
        assert self.look(sick, 1, 3, START) == []
        assert self.look(sick, 1, 3, START + 599) == []
        assert self.look(sick, 1, 3, START + 600) == ["n-0"]

    def test_one_that_comes_back_begins_anew(self) -> None:
        sick = SickNodes()
        self.look(sick, 1, 3, START)
        self.look(sick, 0, 3, START + 500)
        assert self.look(sick, 1, 3, START + 900) == []

    def test_many_at_once_are_not_the_nodes_fault_and_that_ends_by_itself(self) -> None:
        sick = SickNodes()
        self.look(sick, 3, 10, START)
        assert self.look(sick, 3, 10, START + 1000) == []
        assert sick.held["pool"].startswith("3 of 10 nodes are not Ready at once")
        assert self.look(sick, 2, 10, START + 1001) == ["n-0", "n-1"]
        assert sick.held == {}

    def test_never(self) -> None:
        sick = SickNodes()
        self.look(sick, 1, 3, START, repair_after_seconds=None)
        assert self.look(sick, 1, 3, START + 1e6, repair_after_seconds=None) == []


class TestPrices:
    def price(self, check: PriceCheck, micro: int, now: float) -> int | None:
        found = check.check((replace(OFFERING, price_micro_usd_hour=micro),), now)
        return found[0].price_micro_usd_hour if found else None

    def test_a_spike_is_not_believed_until_it_has_held(self) -> None:
        check = PriceCheck()
        assert self.price(check, 30_000, 0) == 30_000
        assert self.price(check, 30_000 * FACTOR + 1, 1) == 30_000
        assert check.doubted == 1
        assert self.price(check, 31_000, 2) == 31_000
        assert check.doubted == 0
        assert self.price(check, 200_000, 3) == 31_000
        assert self.price(check, 210_000, 3 + HELD_SECONDS) == 210_000

    async def test_a_metric_tells_how_many_are_not_believed(self) -> None:
        world = World()
        (offering,) = world.cloud.for_sale
        for factor, doubted in ((1, 0), (FACTOR + 1, 1), (1, 0)):
            price = factor * offering.price_micro_usd_hour
            world.cloud.for_sale = (replace(offering, price_micro_usd_hour=price),)

            await world.cycles(1)

            assert world.metrics.registry.get_sample_value("spotkube_prices_doubted") == doubted

    async def test_after_a_restart_what_claims_were_bought_at_is_believed(self) -> None:
        world = World()
        await world.up_and_running()
        (offering,) = world.cloud.for_sale
        price = 100 * offering.price_micro_usd_hour
        other = replace(offering, instance_type="m.other", price_micro_usd_hour=price)
        world.cloud.for_sale = (replace(offering, price_micro_usd_hour=price), other)
        world.restart()

        view = await world.look()

        told = {one.instance_type: one.price_micro_usd_hour for one in view.snapshot.offerings}
        assert told == {offering.instance_type: offering.price_micro_usd_hour, "m.other": price}

    def test_what_can_be_believed_is_handed_on_as_it_is(self) -> None:
        check, offerings = PriceCheck(), (OFFERING,)
        assert check.check(offerings, 0) is offerings
        assert check.check(offerings, 1) is offerings
        again = (replace(OFFERING),)
        assert check.check(again, 2) is again

    @pytest.mark.parametrize("price", [0, -1, 1])
    def test_a_price_that_cannot_be_never_is(self, price: int) -> None:
        check = PriceCheck()
        self.price(check, 30_000, 0)
        assert self.price(check, price, 1) == 30_000
        if price <= 0:
            assert self.price(check, price, 2 + HELD_SECONDS) == 30_000
            assert self.price(PriceCheck(), price, 0) is None, "without a last good one it is not for sale"

    @given(st.lists(st.tuples(st.integers(-100, 10_000_000), st.floats(0, 1000)), max_size=30))
    def test_whatever_comes_a_believed_price_is_positive_and_never_jumps_at_once(
        self, series: list[tuple[int, float]]
    ) -> None:
        check, now, last, changed = PriceCheck(), 0.0, None, -HELD_SECONDS
        for price, seconds in series:
            now += seconds
            believed = self.price(check, price, now)
            if believed is None:
                assert last is None
                continue
            assert believed > 0
            if last is not None and not last / FACTOR <= believed <= last * FACTOR:
                assert now - changed >= HELD_SECONDS
            last, changed = believed, now if believed != last else changed


class TestBrake:
    def test_three_in_a_row_stop_it_longer_each_time_and_one_that_is_ready_ends_that(self) -> None:
        brake, pool = PurchaseBrake(), make_pool("pool", limit_nodes=10)
        for _ in range(ALLOWED_FAILURES - 1):
            brake.failed("pool", START)
        assert brake.limited(pool, [], START) is pool
        brake.failed("pool", START)
        assert brake.limited(pool, [make_claim()], START).limit_nodes == 1
        assert "nothing is bought until" in brake.why("pool")
        later = START + FIRST_PAUSE_SECONDS
        assert brake.limited(pool, [make_claim()], later).limit_nodes == 2, "one is tried"
        trying = [make_claim(), make_claim("try", phase=ClaimPhase.LAUNCHED)]
        assert brake.limited(pool, trying, later).limit_nodes == 2
        brake.failed("pool", later)
        assert brake.until("pool") == later + 2 * FIRST_PAUSE_SECONDS
        brake.succeeded("pool")
        assert (brake.limited(pool, trying, later), brake.why("pool")) == (pool, "")

    def test_a_restart_reads_it_from_the_pools(self) -> None:
        brake = PurchaseBrake()
        for _ in range(4):
            brake.failed("pool", START)
        status = SimpleNamespace(failures=brake.failures("pool"))
        after = PurchaseBrake()
        after.recall([cast("NodePool", SimpleNamespace(name="pool", status=status))])
        assert after.until("pool") == brake.until("pool")

    async def test_nodes_that_never_come_do_not_cost_more_and_more(self) -> None:
        world = World()
        world.add_pool(readyTimeout="60s")
        world.cloud.for_sale = tuple(replace(OFFERING, zone=f"zone-{n}") for n in range(40))
        world.add_pod()
        for _ in range(12 * 60):  # two hours of ten seconds each
            await world.cycle(10)
            world.instances_end()
            if world.clock.now % 600 < 10:
                world.restart()

        assert len(world.cloud.sold) <= 11, "each hour up to sixty could be tried"
        (pool,) = world.kube.all(NODEPOOLS)
        conditions = {one["type"]: one for one in pool["status"]["conditions"]}
        assert conditions["Buying"]["reason"] == "NodesNeverReady"
