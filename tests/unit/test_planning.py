"""When a decision is asked for, and what of it still holds when it comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from builders import make_claim, make_node, make_offering, make_pod, make_pool, make_snapshot
from controller_builders import FakeWorker
from fake_kube import START
from spotkube.batching import Batch
from spotkube.controllers.plans import Decision
from spotkube.controllers.view import View
from spotkube.metrics import Metrics
from spotkube.model.cluster import ClaimPhase, Mode, Snapshot
from spotkube.model.offerings import Offering
from spotkube.model.plan import Placement, Plan, PlannedNode, Unplaceable
from spotkube.parcels import Bundle, Sender
from spotkube.planning import (
    FILL_PAUSE_SECONDS,
    FLOWING_SECONDS,
    KEEP_UP_SECONDS,
    KINDS_SECONDS,
    LEAST_SECONDS,
    LONGEST_PAUSE_SECONDS,
    SECONDS_PER_KIND,
    SECONDS_PER_POD,
    URGENT_SECONDS,
    Planning,
    question_of,
)
from spotkube.validity import still_valid
from spotkube.worker import PlannerFailed

CHEAP = make_offering("m.large", 0.1)
POOL = make_pool(mode=Mode.APPLY)


def cluster(*pods: Any, **fields: Any) -> Snapshot:
    return make_snapshot(pods or (make_pod("web"),), [CHEAP], **{"pools": (POOL,), **fields})


def view_of(snapshot: Snapshot, now: float = START) -> View:
    pods = {pod.uid: pod for pod in snapshot.pods}
    nodes = {node.name: node for node in snapshot.nodes}
    return View(now, replace(snapshot, taken_at=now), {}, {}, (), nodes, pods, pods)


def node_for(*pods: str, offering: Offering = CHEAP, pool: str = "pool") -> PlannedNode:
    return PlannedNode(pool, offering, tuple(f"uid-{pod}" for pod in pods), "cheap")


def decision(*additions: PlannedNode, mode: Mode = Mode.APPLY, **fields: Any) -> Decision:
    cost = sum(node.offering.price_micro_usd_hour for node in additions)
    plan = Plan(additions, cost_after_micro_usd_hour=cost, **fields)
    return Decision(mode, 0, "", plan, 0.1)


@pytest.fixture
def worker() -> FakeWorker:
    return FakeWorker()


@pytest.fixture
def planning(worker: FakeWorker) -> Planning:
    return Planning(worker, Metrics(), 0, 1.0)


async def ask(planning: Planning, view: View) -> Decision | None:
    """Starts what is due, lets it end, and takes it."""
    planning.start_if_due(view)
    if planning._search is not None:
        await asyncio.wait([planning._search])
    return planning.take(view)


class TestQuestion:
    @pytest.mark.parametrize(
        "snapshot",
        [
            cluster(make_pod("web", node="n"), nodes=(make_node("n"),)),
            cluster(make_pod("web", unschedulable=False)),
            cluster(make_pod("web", deleting=True)),
            cluster(make_pod("web", nominated="n"), nodes=(make_node("n"),)),
            cluster(pools=()),
            cluster(pools=(make_pool(mode=Mode.PAUSED), make_pool(mode=Mode.RECOMMEND))),
            cluster(pools=(make_pool(mode=Mode.APPLY, deleting=True),)),
            make_snapshot([make_pod()], [], pools=(POOL,)),
        ],
    )
    def test_there_is_none(self, snapshot: Snapshot) -> None:
        assert question_of(view_of(snapshot), Mode.APPLY) is None

    def test_a_pod_without_a_place_is_one(self) -> None:
        assert question_of(view_of(cluster()), Mode.APPLY) is not None

    def test_so_is_one_that_is_nominated_onto_what_is_leaving(self) -> None:
        claim = make_claim("n", CHEAP, phase=ClaimPhase.PENDING, deleting=True)

        assert question_of(view_of(cluster(make_pod("web", nominated="n"), claims=(claim,))), Mode.APPLY) is not None

    def test_time_and_readiness_make_no_new_one(self) -> None:
        running = make_pod("other", node="n")
        before = cluster(make_pod("web"), running)
        after = replace(before, taken_at=99.0, pods=(before.pods[0], replace(running, ready=True)))

        assert question_of(view_of(before), Mode.APPLY) == question_of(view_of(after), Mode.APPLY)

    async def test_one_that_was_answered_is_not_asked_again_until_something_differs(
        self, planning: Planning, worker: FakeWorker
    ) -> None:
        await ask(planning, view_of(cluster()))
        await ask(planning, view_of(cluster(), START + 600))
        assert worker.asked == [Mode.APPLY]

        await ask(planning, view_of(cluster(make_pod("web"), make_pod("new"))))

        assert worker.asked == [Mode.APPLY, Mode.APPLY]

    async def test_what_may_be_bought_is_asked_before_what_may_be_recommended(
        self, planning: Planning, worker: FakeWorker
    ) -> None:
        view = view_of(cluster(pools=(make_pool("r", mode=Mode.RECOMMEND), POOL)))

        await ask(planning, view)
        await ask(planning, view)

        assert worker.asked == [Mode.APPLY, Mode.RECOMMEND]

    async def test_one_at_a_time(self, planning: Planning, worker: FakeWorker) -> None:
        planning.start_if_due(view_of(cluster()))
        planning.start_if_due(view_of(cluster(make_pod("another"))))
        assert planning.busy
        await asyncio.sleep(0.01)

        assert worker.asked == [Mode.APPLY]
        await planning.stop()

    async def test_an_answer_that_was_not_carried_out_is_asked_for_anew(
        self, planning: Planning, worker: FakeWorker
    ) -> None:
        await ask(planning, view_of(cluster()))
        planning.forget()

        assert planning.has_question(view_of(cluster()))
        assert await ask(planning, view_of(cluster())) is not None

    async def test_what_was_asked_before_another_replica_led_is_dropped(self, planning: Planning) -> None:
        planning.start_if_due(view_of(cluster()))
        planning.forget()
        assert planning._search is not None
        await asyncio.wait([planning._search])

        assert planning.take(view_of(cluster())) is None
        assert await ask(planning, view_of(cluster())) is not None


class TestFailure:
    @pytest.mark.parametrize("error", [PlannerFailed("it died"), ValueError("a mistake of ours")])
    async def test_nothing_is_decided_and_it_is_tried_again_later_each_time(
        self, planning: Planning, worker: FakeWorker, error: Exception
    ) -> None:
        worker.error = error
        tries, now = [], START
        while now < START + 200:
            before = len(worker.asked)
            assert await ask(planning, view_of(cluster(), now)) is None
            tries += [now - START] * (len(worker.asked) - before)
            now += 0.5

        assert tries == [0, 1, 3, 7, 15, 31, 63, 123, 183]
        assert tries[-1] - tries[-2] == LONGEST_PAUSE_SECONDS

    async def test_after_a_success_it_begins_anew(self, planning: Planning, worker: FakeWorker) -> None:
        worker.error = PlannerFailed("it died")
        for now in (0, 1, 3):
            await ask(planning, view_of(cluster(), START + now))
        worker.error = None
        assert await ask(planning, view_of(cluster(), START + 7)) is not None
        planning.succeeded()

        worker.error = PlannerFailed("again")
        await ask(planning, view_of(cluster(make_pod("b")), START + 8))
        worker.error = None

        assert await ask(planning, view_of(cluster(make_pod("b")), START + 9)) is not None

    async def test_one_that_was_cancelled_is_no_end(self, planning: Planning) -> None:
        planning.start_if_due(view_of(cluster()))
        assert planning._search is not None
        planning._search.cancel()
        await asyncio.wait([planning._search])

        assert planning.take(view_of(cluster())) is None
        assert await ask(planning, view_of(cluster(), START + 1)) is not None


class TestStillValid:
    def test_all_of_it_where_nothing_changed(self) -> None:
        made = decision(node_for("web"))

        assert still_valid(made, view_of(cluster())) == made

    @pytest.mark.parametrize(
        "now",
        [
            cluster(make_pod("other")),  # its pod is gone
            cluster(make_pod("web", node="elsewhere"), nodes=(make_node("elsewhere"),)),
            cluster(make_pod("web", nominated="n"), nodes=(make_node("n"),)),  # it has got a place
            cluster(pools=()),
            cluster(pools=(make_pool(mode=Mode.PAUSED),)),
            cluster(pools=(make_pool(mode=Mode.RECOMMEND),)),
            cluster(pools=(make_pool(mode=Mode.APPLY, deleting=True),)),
            cluster(resting=frozenset({CHEAP.key})),
            cluster(pools=(make_pool(mode=Mode.APPLY, limit_nodes=0),)),
            cluster(pools=(make_pool(mode=Mode.APPLY, limit_micro_usd_hour=99_999),)),
            cluster(pools=(make_pool(mode=Mode.APPLY, limit_resources=(("cpu", 1999),)),)),
        ],
    )
    def test_a_node_that_is_not_needed_or_not_allowed_any_more_is_not_bought(self, now: Snapshot) -> None:
        assert still_valid(decision(node_for("web")), view_of(now)) is None

    def test_limits_that_were_lowered_cut_the_plan(self) -> None:
        pods = [make_pod(name) for name in "abc"]
        pool = make_pool(mode=Mode.APPLY, limit_nodes=3)
        there = make_claim("there", CHEAP)
        noticed = make_claim("noticed", CHEAP, deadline=START + 60)  # no longer counts

        left = still_valid(
            decision(*(node_for(name) for name in "abc"), lower_bound_micro_usd_hour=250_000, placed_pods=3),
            view_of(cluster(*pods, pools=(pool,), claims=(there, noticed))),
        )

        assert left is not None
        assert [node.pods for node in left.plan.additions] == [("uid-a",), ("uid-b",)]
        assert left.plan.cost_after_micro_usd_hour == 200_000
        assert left.plan.lower_bound_micro_usd_hour == 150_000
        assert left.plan.placed_pods == 2

    def test_the_bound_never_stands_above_the_cost(self) -> None:
        made = decision(node_for("a"), node_for("web"), lower_bound_micro_usd_hour=50_000, placed_pods=2)

        left = still_valid(made, view_of(cluster()))

        assert left is not None
        assert left.plan.lower_bound_micro_usd_hour == 0 <= left.plan.cost_after_micro_usd_hour

    def test_a_node_is_kept_while_one_of_its_pods_waits(self) -> None:
        made = decision(node_for("web", "gone"))

        assert still_valid(made, view_of(cluster())) == made

    def test_word_of_what_has_no_place_and_places_on_what_is_there_are_kept(self) -> None:
        told = decision(unplaceable=(Unplaceable("web", ("uid-web",), "too large"),))
        placed = decision(placements=(Placement("uid-web", "n"),))

        assert still_valid(told, view_of(cluster())) == told
        assert still_valid(placed, view_of(cluster())) == placed


class TestBatches:
    async def test_pods_that_keep_coming_are_planned_together(self, worker: FakeWorker) -> None:
        planning = Planning(worker, Metrics(), 0, 10.0, Batch(idle_seconds=1, max_seconds=5))
        pods = [make_pod(f"web-{n}") for n in range(3)]

        for count in (1, 2, 3):
            assert await ask(planning, view_of(cluster(*pods[:count]), START + count / 2)) is None
        assert worker.asked == []

        await ask(planning, view_of(cluster(*pods), START + 2.5))
        assert worker.asked == [Mode.APPLY]

    async def test_a_quiet_time_before_is_no_wait_for_company(self, worker: FakeWorker) -> None:
        planning = Planning(worker, Metrics(), 0, 10.0, Batch(idle_seconds=1, max_seconds=5))
        pods = [make_pod(f"web-{n}") for n in range(2)]
        for second in (0, 50):
            assert await ask(planning, view_of(make_snapshot([], [CHEAP], pools=(POOL,)), START + second)) is None

        for count in (1, 2):
            assert await ask(planning, view_of(cluster(*pods[:count]), START + 100 + count / 2)) is None

        assert worker.asked == []

    async def test_pods_that_come_during_a_search_have_waited_for_company_when_it_ends(
        self, worker: FakeWorker
    ) -> None:
        planning = Planning(worker, Metrics(), 0, 10.0, Batch(idle_seconds=1, max_seconds=3))
        pods = [make_pod(f"web-{n}") for n in range(9)]
        for second in (0, 1):
            planning.start_if_due(view_of(cluster(pods[0]), START + second))
        assert planning.busy
        for second in (2, 3, 4):
            planning.start_if_due(view_of(cluster(*pods[1 : second + 1]), START + second))
        await asyncio.sleep(0.01)
        planning.take(view_of(cluster(*pods[1:5]), START + 4.5))

        await ask(planning, view_of(cluster(*pods[1:6]), START + 5))

        assert worker.asked == [Mode.APPLY, Mode.APPLY]

    async def test_many_that_keep_coming_are_planned_for_together(self, worker: FakeWorker) -> None:
        """A plan for these is searched for longer than the rest of them takes to come."""
        planning = Planning(worker, Metrics(), 0, 10.0, Batch(idle_seconds=0.5, max_seconds=3))
        pods = [make_pod(f"web-{n:03}", cpu=1 + n % 20) for n in range(320)]
        for n in range(1, 9):
            assert await ask(planning, view_of(cluster(*pods[: 40 * n]), START + n / 4)) is None

        assert await ask(planning, view_of(cluster(*pods), START + 2.5)) is not None
        assert worker.asked == [Mode.APPLY]

    async def test_pods_of_a_node_that_is_leaving_wait_for_nobody(self, worker: FakeWorker) -> None:
        planning = Planning(worker, Metrics(), 0, 10.0, Batch(idle_seconds=1, max_seconds=5))
        claim = replace(make_claim("c-1", CHEAP, phase=ClaimPhase.READY), node="c-1", deadline=START + 30)
        pod, node = make_pod("web", node="c-1"), make_node("c-1", claim="c-1")

        await ask(planning, view_of(cluster(pod, claims=(claim,), nodes=(node,))))
        assert worker.asked == [Mode.APPLY]

    @pytest.mark.parametrize(
        ("pods", "kinds", "seconds"),
        [
            (1, 1, LEAST_SECONDS),
            (5000, 1, LEAST_SECONDS),
            (100, 100, 100 * SECONDS_PER_POD),
            (5000, 20, KINDS_SECONDS + 20 * SECONDS_PER_KIND),
            (5000, 500, 10.0),
        ],
    )
    async def test_few_pods_and_those_of_few_kinds_do_not_wait_for_a_long_search(
        self, worker: FakeWorker, pods: int, kinds: int, seconds: float
    ) -> None:
        many = (make_pod(f"web-{n}", cpu=f"{100 + n % kinds}m") for n in range(pods))
        await ask(Planning(worker, Metrics(), 0, 10.0), view_of(cluster(*many)))

        assert worker.seconds == [pytest.approx(seconds)]

    async def test_where_more_keep_coming_the_search_is_short(self, worker: FakeWorker) -> None:
        """They wait for its end; who comes alone or last does not."""
        planning = Planning(worker, Metrics(), 0, 10.0, Batch(idle_seconds=0.5, max_seconds=3))
        pods = [make_pod(f"web-{n:03}", cpu=f"{100 + n}m") for n in range(100)]
        for n in range(1, 5):
            await ask(planning, view_of(cluster(*pods[: 25 * n]), START + n / 3))
        assert worker.seconds == [FLOWING_SECONDS]

        await ask(planning, view_of(cluster(*pods), START + 10))
        await ask(planning, view_of(cluster(*pods, make_pod("more")), START + 20))
        await ask(planning, view_of(cluster(*pods, make_pod("more")), START + 21))
        assert worker.seconds == [FLOWING_SECONDS, pytest.approx(1.01)]

    async def test_pods_that_have_their_place_make_no_search_longer(self, worker: FakeWorker) -> None:
        claim = make_claim("c-1", make_offering("m.huge", 1, pods=100), phase=ClaimPhase.LAUNCHED)
        bought = [make_pod(f"old-{n}", cpu=f"{1 + n}m", memory="1Mi", nominated="c-1") for n in range(90)]

        await ask(Planning(worker, Metrics(), 0, 10.0), view_of(cluster(make_pod("new"), *bought, claims=(claim,))))

        assert worker.seconds == [LEAST_SECONDS]

    async def test_nor_do_those_of_a_node_that_is_leaving(self, worker: FakeWorker) -> None:
        claim = replace(make_claim("c-1", CHEAP, phase=ClaimPhase.READY), node="c-1", deadline=START + 30)
        pods = [make_pod(f"web-{n}", node="c-1", cpu=f"{100 + n}m") for n in range(500)]

        await ask(
            Planning(worker, Metrics(), 0, 10.0),
            view_of(cluster(*pods, claims=(claim,), nodes=(make_node("c-1", claim="c-1"),))),
        )

        assert worker.seconds == [URGENT_SECONDS]


class TestPodsThatComeDuringASearch:
    async def test_a_node_planned_for_one_still_to_be_made_is_for_the_pod_that_came(self, worker: FakeWorker) -> None:
        planning = Planning(worker, Metrics(), 0, 10.0)
        planning.start_if_due(view_of(cluster(make_pod("to-come"))))
        await asyncio.sleep(0.01)
        came = replace(view_of(cluster(make_pod("web"))), heirs={"uid-to-come": "uid-web"})

        taken = planning.take(came)

        assert taken is not None
        assert [node.pods for node in taken.plan.additions] == [("uid-web",)]


class TestKeepingUp:
    """A planner that knows what there is answers the sooner where a node is about to end."""

    @staticmethod
    def at_rest(now: float) -> View:
        return view_of(cluster(make_pod("web", node="n"), nodes=(make_node("n"),)), now)

    async def test_it_is_told_what_there_is_while_nothing_is_asked(
        self, planning: Planning, worker: FakeWorker
    ) -> None:
        for seconds in (0, 1, KEEP_UP_SECONDS - 1, KEEP_UP_SECONDS):
            await ask(planning, self.at_rest(START + seconds))
            await asyncio.sleep(0)

        assert [len(snapshot.pods) for snapshot in worker.kept_up] == [1, 1], "at most each ten seconds"
        assert worker.asked == []

    async def test_not_while_a_question_is_asked(self, planning: Planning, worker: FakeWorker) -> None:
        await ask(planning, view_of(cluster()))

        assert (worker.kept_up, worker.asked) == ([], [Mode.APPLY])

    async def test_a_planner_that_fails_then_is_told_of_and_holds_up_nothing(
        self, planning: Planning, worker: FakeWorker, caplog: pytest.LogCaptureFixture
    ) -> None:
        worker.error = PlannerFailed("gone")
        await ask(planning, self.at_rest(START))
        await asyncio.sleep(0)
        worker.error = None

        assert "the planner could not be told what there is" in caplog.text
        assert await ask(planning, view_of(cluster(), START + 1)) is not None


class TestFilling:
    """Pods that have room on what is there wait for no company and no search."""

    @pytest.fixture
    def planning(self, worker: FakeWorker) -> Planning:
        return Planning(worker, Metrics(), 0, 10.0, Batch(idle_seconds=1, max_seconds=5))

    async def test_room_that_there_is_is_given_at_once(self, planning: Planning, worker: FakeWorker) -> None:
        claim = make_claim("c-1", make_offering("large", cpu="4"), phase=ClaimPhase.PENDING)

        found = await ask(planning, view_of(cluster(make_pod("web"), claims=(claim,))))

        assert found is not None
        assert (found.fills, found.plan.placements) == (True, (Placement("uid-web", "c-1"),))
        assert worker.asked == []

    async def test_the_planner_need_not_be_sent_anew_what_is_for_sale(
        self, planning: Planning, worker: FakeWorker
    ) -> None:
        claim = make_claim("c-1", CHEAP, phase=ClaimPhase.PENDING)
        view = view_of(cluster(claims=(claim,)))

        await ask(planning, view)

        (filled,), sender = worker.filled, Sender()
        sender.pack(filled)
        question = question_of(view, Mode.APPLY)
        assert question is not None
        assert question.offerings
        assert dict(sender.pack(question).bundles)["offerings"] == Bundle(None), "as before"

    async def test_in_a_burst_it_is_not_tried_at_each_look(self, planning: Planning, worker: FakeWorker) -> None:
        claim = make_claim("c-1", CHEAP, phase=ClaimPhase.PENDING)
        pods = [make_pod(f"web-{n}") for n in range(9)]

        for n in range(1, 10):
            await ask(planning, view_of(cluster(*pods[:n], claims=(claim,)), START + n * FILL_PAUSE_SECONDS / 4))

        assert len(worker.filled) == 3

    async def test_not_where_a_plan_is_about_to_be_made_which_fills_too(
        self, planning: Planning, worker: FakeWorker
    ) -> None:
        """It would have to wait for the end of this."""
        snapshot = cluster(make_pod("web"), claims=(make_claim("c-1", CHEAP, phase=ClaimPhase.PENDING),))
        planning._search = asyncio.create_task(asyncio.Event().wait())  # as while a plan is made for others
        planning.start_if_due(view_of(snapshot, START))
        planning._search.cancel()
        planning._search = None

        await ask(planning, view_of(snapshot, START + 0.9))

        assert worker.filled == []

    async def test_what_is_for_sale_plays_no_part(self, planning: Planning, worker: FakeWorker) -> None:
        full = make_claim("c-1", make_offering("small", cpu="10m"), phase=ClaimPhase.PENDING)
        snapshot = cluster(make_pod("web"), claims=(full,))

        for price in (1, 2, 3):
            offerings = tuple(replace(one, price_micro_usd_hour=price) for one in snapshot.offerings)
            await ask(planning, view_of(replace(snapshot, offerings=offerings)))

        assert len(worker.filled) == 1

    async def test_where_there_is_no_room_it_is_asked_once_and_then_bought(
        self, planning: Planning, worker: FakeWorker
    ) -> None:
        full = make_claim("c-1", make_offering("small", cpu="10m"), phase=ClaimPhase.PENDING)
        views = [view_of(cluster(make_pod("web"), claims=(full,)), START + tenth / 10) for tenth in range(11)]

        found = [await ask(planning, view) for view in views]

        assert found[:-1] == [None] * 10
        assert (len(worker.filled), worker.asked) == (1, [Mode.APPLY])

    async def test_an_empty_cluster_has_none(self, planning: Planning, worker: FakeWorker) -> None:
        await ask(planning, view_of(cluster()))

        assert worker.filled == []


def test_a_fingerprint_tells_only_snapshots_apart_that_differ() -> None:
    nodes = {"nodes": (make_node("node-1"),), "claims": (make_claim("claim-1", CHEAP),)}
    view = view_of(cluster(**nodes))
    known = view.fingerprint(cluster(**nodes))

    assert view.fingerprint(cluster(**nodes)) == known
    for other in (
        cluster(make_pod("web", cpu="2"), **nodes),
        cluster(make_pod("web"), make_pod("web"), **nodes),
        cluster(**{**nodes, "nodes": (make_node("node-2"),)}),
        cluster(**{**nodes, "claims": ()}),
        cluster(**nodes, preference_percent=6.0),
    ):
        assert view.fingerprint(other) != known
    assert view.fingerprint(cluster(**nodes)) == known
