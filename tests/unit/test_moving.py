"""When it is asked whether nodes in force should be replaced, and what of the answer is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from builders import make_claim, make_offering, make_pod, make_pool, selector
from controller_builders import FakeWorker
from fake_kube import START
from moves_support import fleet
from spotkube.controllers.plans import Decision
from spotkube.controllers.planstatus import to_status
from spotkube.controllers.view import View
from spotkube.metrics import Metrics
from spotkube.model.cluster import ClaimPhase, DisruptionBudget, Mode, Snapshot
from spotkube.model.plan import HeldNode, Placement, Plan, PlannedDrain, PlannedNode, Repack
from spotkube.model.pods import Pod
from spotkube.moving import MovesQuestion, moves_question, moves_still_valid
from spotkube.planning import Planning

NODE = make_offering("m.large", 0.1)
POOL = make_pool()


def cluster(**fields: Any) -> Snapshot:
    """Two nodes with a pod each."""
    return fleet([(NODE, [make_pod("one")]), (NODE, [make_pod("two")])], [NODE], **{"pools": [POOL], **fields})


def bound(name: str, node: str) -> Pod:
    return replace(make_pod(name), node=node, unschedulable=False)


def view_of(snapshot: Snapshot, now: float = START) -> View:
    pods = {pod.uid: pod for pod in snapshot.pods}
    nodes = {node.name: node for node in snapshot.nodes}
    return View(now, replace(snapshot, taken_at=now), {}, {}, (), nodes, pods, pods)


def one_goes(_snapshot: Snapshot, _mode: Mode) -> Plan:
    """Node a is given back, its pod moves onto b."""
    drain = PlannedDrain("a", ("uid-one",), 100_000, 4_000, "it pays")
    return Plan(
        placements=(Placement("uid-one", "b"),),
        cost_now_micro_usd_hour=200_000,
        cost_after_micro_usd_hour=100_000,
        drains=(drain,),
        saved_micro_usd_hour=100_000,
        repack=Repack(90_000, 2, 8_000),
        held=(HeldNode("b", "uid-two", "it opted out of being moved"),),
    )


def decided(snapshot: Snapshot) -> Decision:
    return Decision(Mode.RECOMMEND, 0, "", one_goes(snapshot, Mode.RECOMMEND), 0.1, moves=True)


@pytest.fixture
def worker() -> FakeWorker:
    worker = FakeWorker()
    worker.moves = one_goes
    return worker


@pytest.fixture
def planning(worker: FakeWorker) -> Planning:
    return Planning(worker, Metrics(), 0, 1.0, moves=MovesQuestion(60.0))


async def ask(planning: Planning, view: View) -> Decision | None:
    planning.start_if_due(view)
    if planning._search is not None:
        await asyncio.wait([planning._search])
    return planning.take(view)


class TestWhenItIsAsked:
    async def test_in_quiet_times(self, planning: Planning, worker: FakeWorker) -> None:
        decision = await ask(planning, view_of(cluster()))
        assert decision is not None and decision.moves
        assert [drain.claim for drain in decision.plan.drains] == ["a"]
        assert "1 nodes in force cost more than it does to move their 1 pods" in decision.trigger

    async def test_not_again_until_something_differs_and_the_time_is_over(
        self, planning: Planning, worker: FakeWorker
    ) -> None:
        snapshot = cluster()
        await ask(planning, view_of(snapshot))
        for seconds in (10, 70, 1000):
            assert await ask(planning, view_of(snapshot, START + seconds)) is None
        more = replace(snapshot, pods=(*snapshot.pods, bound("three", "b")))
        assert await ask(planning, view_of(more, START + 1010)) is None
        assert await ask(planning, view_of(more, START + 1070)) is not None
        assert len(worker.asked) == 2

    async def test_readiness_and_the_time_make_no_difference(self, planning: Planning, worker: FakeWorker) -> None:
        snapshot = cluster(budgets=[DisruptionBudget("default", "b", selector(), 3)])
        await ask(planning, view_of(snapshot))
        pods = tuple(replace(pod, ready=True) for pod in snapshot.pods)
        budgets = (replace(snapshot.budgets[0], allowed=2),)
        await ask(planning, view_of(replace(snapshot, pods=pods, budgets=budgets), START + 70))
        assert len(worker.asked) == 1

    async def test_pods_that_wait_come_first(self, planning: Planning, worker: FakeWorker) -> None:
        snapshot = cluster()
        waiting = replace(snapshot, pods=(*snapshot.pods, make_pod("late", workload="w")))
        decision = await ask(planning, view_of(waiting))
        assert decision is not None and not decision.moves

    @pytest.mark.parametrize(
        "changed",
        [
            lambda s: replace(s, claims=(replace(s.claims[0], phase=ClaimPhase.LAUNCHED), s.claims[1])),
            lambda s: replace(s, claims=(replace(s.claims[0], deleting=True), s.claims[1])),
            lambda s: replace(s, pods=(*s.pods, make_pod("coming", nominated="b"))),
        ],
    )
    async def test_not_while_nodes_or_pods_come_or_go(
        self, planning: Planning, worker: FakeWorker, changed: Callable[[Snapshot], Snapshot]
    ) -> None:
        decision = await ask(planning, view_of(changed(cluster())))
        assert decision is None or not decision.moves

    @pytest.mark.parametrize(
        ("pool", "mode", "asked"),
        [
            (POOL, Mode.RECOMMEND, True),
            (make_pool(empty_after_seconds=None), Mode.RECOMMEND, False),
            (make_pool(mode=Mode.APPLY), Mode.APPLY, False),
            (make_pool(mode=Mode.APPLY, consolidates=True), Mode.APPLY, True),
            (make_pool(mode=Mode.PAUSED), Mode.PAUSED, False),
        ],
    )
    def test_of_pools_that_give_back(self, pool: Any, mode: Mode, asked: bool) -> None:
        question = moves_question(cluster(pools=[pool]), mode)
        assert (question is not None) is (asked and mode is not Mode.PAUSED)


class TestWhatStillHolds:
    def test_what_did_not_change(self) -> None:
        snapshot = cluster()
        assert moves_still_valid(decided(snapshot), view_of(snapshot)) == decided(snapshot)

    @pytest.mark.parametrize(
        "changed",
        [
            # The pod is gone, or has come to be on another node, or a new one has come to the node that goes.
            lambda s: replace(s, pods=s.pods[1:]),
            lambda s: replace(s, pods=(replace(s.pods[0], node="b"), s.pods[1])),
            lambda s: replace(s, pods=(*s.pods, bound("new", "a"))),
            # A node is gone, or goes, or somebody closed it.
            lambda s: replace(s, nodes=s.nodes[1:]),
            lambda s: replace(s, claims=s.claims[1:], nodes=s.nodes[1:]),
            lambda s: replace(s, claims=s.claims[:1], nodes=s.nodes[:1]),
            lambda s: replace(s, claims=(s.claims[0], replace(s.claims[1], deleting=True))),
            lambda s: replace(s, nodes=(replace(s.nodes[0], unschedulable=True), s.nodes[1])),
            # Its pod may not be moved any more.
            lambda s: replace(s, pods=(replace(s.pods[0], do_not_disrupt=True), s.pods[1])),
            lambda s: replace(s, budgets=(DisruptionBudget("default", "b", selector(), 0),)),
            lambda s: replace(s, pools=(make_pool(empty_after_seconds=None),)),
        ],
    )
    def test_it_is_dropped_whole_when_anything_of_it_changed(self, changed: Callable[[Snapshot], Snapshot]) -> None:
        snapshot = cluster()
        assert moves_still_valid(decided(snapshot), view_of(changed(snapshot))) is None

    def test_what_rests_is_not_to_be_bought(self) -> None:
        snapshot = cluster()
        plan = replace(one_goes(snapshot, Mode.RECOMMEND), additions=(PlannedNode("pool", NODE, (), ""),))
        decision = replace(decided(snapshot), plan=plan)
        assert moves_still_valid(decision, view_of(snapshot)) is not None
        assert moves_still_valid(decision, view_of(replace(snapshot, resting=frozenset({NODE.key})))) is None

    async def test_what_was_dropped_is_asked_again(self, planning: Planning, worker: FakeWorker) -> None:
        snapshot = cluster()
        planning.start_if_due(view_of(snapshot))
        assert planning._search is not None
        await asyncio.wait([planning._search])
        assert planning.take(view_of(replace(snapshot, pods=snapshot.pods[1:]))) is None
        assert await ask(planning, view_of(snapshot, START + 70)) is not None
        assert len(worker.asked) == 2


def test_the_record_tells_what_it_saves_and_what_holds_it_back() -> None:
    snapshot = cluster()
    status = to_status(decided(snapshot), view_of(snapshot), [], applied=False)
    (drain,) = status.drains
    assert (drain.claim, drain.pods, drain.saved_usd_per_hour, drain.moves_usd) == ("a", 1, 0.1, 0.004)
    assert status.nodes is not None and (status.nodes.drain, status.nodes.keep) == (1, 1)
    moves = status.moves
    assert moves is not None
    assert (moves.pods, moves.saved_usd_per_hour, moves.usd, moves.pays_back_minutes) == (1, 0.1, 0.004, 2.4)
    assert (moves.repack_usd_per_hour, moves.repack_pods, moves.repack_usd) == (0.09, 2, 0.008)
    assert (moves.held_nodes, moves.held_by) == (1, "default/two: it opted out of being moved")
    (applied,) = [one for one in status.conditions if one.type == "Applied"]
    assert "mode Recommend" in applied.message


def test_claims_of_others_are_none_of_its_business() -> None:
    stranger = make_claim("x", NODE, pool="gone")
    assert moves_question(replace(cluster(), claims=(stranger,)), Mode.RECOMMEND) is None
