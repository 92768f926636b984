"""Decisions as they are written down, carried out and forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import make_offering, make_pool, make_snapshot, taint
from controller_builders import UNAVAILABLE, World
from fake_kube import START
from spotkube.api import CapacityPlan
from spotkube.api.capacityplan import MAX_ADDITIONS, MAX_DRAINS, MAX_FRONT, MAX_UNPLACEABLE, CapacityPlanStatus
from spotkube.cluster.errors import ApiError
from spotkube.cluster.resources import CAPACITYPLANS, EVENTS, PODS
from spotkube.controllers.carrying import MAX_TOLD
from spotkube.controllers.plans import Decision, outdated, plan_name, to_claims
from spotkube.controllers.planstatus import to_status
from spotkube.controllers.toolbox import NotLeading
from spotkube.controllers.view import View
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode
from spotkube.model.explanation import Exclusion
from spotkube.model.plan import Baselines, FrontPoint, Plan, PlannedDrain, PlannedNode, Unplaceable
from spotkube.model.selectors import Taint, TaintEffect
from spotkube.planner.explaining.changes import Subject

OFFERING = make_offering("m.large", 0.1, spot=True)
POOL = make_pool(mode=Mode.APPLY, taints=(taint("team", "a"),), startup_taints=(taint("cni"),), labels=(("tier", "x"),))
NODE = PlannedNode("pool", OFFERING, ("uid-web",), "the cheapest that holds it")


def decision(plan: Plan, mode: Mode = Mode.APPLY, **fields: Any) -> Decision:
    return Decision(mode, 7, "one pod waits", plan, 0.25, **fields)


def view() -> View:
    snapshot = make_snapshot(pools=(POOL,))
    return View(START, snapshot, {}, {}, (), {}, {}, {})


def status_of(plan: Plan, **fields: Any) -> CapacityPlanStatus:
    status = to_status(decision(plan, **fields), view(), [], applied=False)
    return CapacityPlanStatus.model_validate(status.model_dump(by_alias=True))


class TestRecord:
    def test_the_gap_is_cost_over_bound_less_one(self) -> None:
        plan = Plan((NODE,), cost_after_micro_usd_hour=125_000, lower_bound_micro_usd_hour=100_000)

        assert plan.gap == pytest.approx(0.25)
        assert status_of(plan).gap_percent == 25.0

    def test_without_a_bound_there_is_none(self) -> None:
        assert status_of(Plan((NODE,), cost_after_micro_usd_hour=125_000)).gap_percent is None

    def test_lists_are_cut_at_what_the_api_allows_and_counts_are_not(self) -> None:
        many = 600
        plan = Plan(
            additions=(NODE,) * many,
            unplaceable=tuple(Unplaceable("n" * 600, ("a", "b"), "r" * 2000) for _ in range(many)),
            front=tuple(FrontPoint(1, 0.5, 2.0, 0.5) for _ in range(many)),
            placed_pods=many,
            drains=tuple(PlannedDrain(f"c-{i}", (), 0, 0, "empty") for i in range(many)),
        )

        status = status_of(plan)

        assert len(status.additions) == MAX_ADDITIONS
        assert len(status.drains) == MAX_DRAINS
        assert len(status.unplaceable) == MAX_UNPLACEABLE
        assert len(status.front) == MAX_FRONT
        assert status.nodes is not None and (status.nodes.add, status.nodes.drain) == (many, many)
        assert status.pods is not None and status.pods.unplaceable == 2 * many

    def test_what_would_place_pods_comes_first_and_as_changes(self) -> None:
        change = Subject("shop/web", frozenset()).tolerate(Taint("team", TaintEffect.NO_SCHEDULE, "a"))
        one = Unplaceable("shop/web", ("a",), "none fits", (change,), (Exclusion("taint", 3),), 3, "tolerate it")

        (told,) = status_of(Plan(unplaceable=(one,))).unplaceable

        assert told.reason == "tolerate it; none fits; each by itself excludes, of 3 offerings: taint 3"
        assert [(c.kind, c.object, c.field, c.to) for c in told.changes] == [
            ("Pod", "shop/web", "spec.tolerations", "team=a:NoSchedule")
        ]

    def test_baselines_that_do_not_hold_all_pods_are_absent(self) -> None:
        status = status_of(Plan(baselines=Baselines(first_fit_micro_usd_hour=130_000)))

        assert status.baselines is not None
        assert status.baselines.first_fit_usd_per_hour == 0.13
        assert status.baselines.all_on_demand_usd_per_hour is None

    @pytest.mark.parametrize(
        ("mode", "applied", "failed", "said"),
        [
            (Mode.APPLY, False, "", ("False", "InProgress")),
            (Mode.APPLY, True, "", ("True", "Applied")),
            (Mode.APPLY, False, "etcd is away", ("False", "Failed")),
            (Mode.RECOMMEND, False, "", ("False", "RecommendOnly")),
        ],
    )
    def test_it_says_how_far_it_was_carried_out(
        self, mode: Mode, applied: bool, failed: str, said: tuple[str, str]
    ) -> None:
        status = to_status(decision(Plan((NODE,)), mode), view(), [], applied=applied, failed=failed)

        condition = next(c for c in status.conditions if c.type == "Applied")
        assert (condition.status.value, condition.reason) == said

    def test_names_sort_by_time_and_differ_within_a_second(self) -> None:
        first, second, later = (plan_name(Mode.APPLY, START + t) for t in (0, 0, 1))

        assert first != second and max(first, second) < later
        assert first.startswith("apply-")


class TestClaims:
    def test_a_claim_is_written_with_all_that_its_node_will_be(self) -> None:
        (claim,) = to_claims(decision(Plan((NODE,))), [POOL], "plan-1", {})

        assert claim.metadata.finalizers == (keys.TERMINATION_FINALIZER,)
        assert claim.spec.price_usd_per_hour == 0.1
        assert (claim.spec.plan, claim.spec.reason) == ("plan-1", NODE.reason)
        assert [t.key for t in claim.spec.taints] == ["team"]
        assert [t.key for t in claim.spec.startup_taints] == ["cni"]
        assert claim.spec.labels[keys.NODECLAIM] == claim.name
        assert claim.spec.labels["tier"] == "x"

    def test_a_claim_names_those_whose_pods_it_was_bought_for(self) -> None:
        homes = {NODE.pods[0]: "old-1", "somebody-else": "old-2"}
        (claim,) = to_claims(decision(Plan((NODE,))), [POOL], "plan-1", homes)

        assert claim.spec.replaces == ("old-1",)

    def test_no_two_have_one_name(self) -> None:
        claims = to_claims(decision(Plan((NODE,) * 50)), [POOL], "plan-1", {})

        assert len({claim.name for claim in claims}) == 50


class TestCarryingOut:
    async def test_the_record_comes_before_the_claim_and_is_closed_after_it(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        await world.decided()

        others = ("nodepools", "patch nodeclaims", "patch pods")
        verbs = [line.split("/")[0] for line in world.kube.writes if not any(other in line for other in others)]
        assert verbs == ["create capacityplans", "create nodeclaims", "patch capacityplans"]
        (plan,) = world.plans
        assert plan["status"]["additions"][0]["claim"] == world.claim.name
        assert world.claim.spec.plan == plan["metadata"]["name"]

    async def test_mode_recommend_writes_a_plan_and_buys_nothing(self) -> None:
        world = World()
        world.add_pool(mode="Recommend")
        world.add_pod()

        await world.cycles(5)

        (plan,) = world.plans
        assert plan["spec"]["mode"] == "Recommend"
        assert len(plan["status"]["additions"]) == 1
        assert (world.claims, world.cloud.sold) == ([], [])

    async def test_a_claim_that_cannot_be_written_is_told_and_tried_again(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        world.kube.refuse["create nodeclaims"] = UNAVAILABLE
        await world.cycles(2)
        reasons = {c["type"]: c["reason"] for c in world.plans[0]["status"]["conditions"]}
        assert reasons["Applied"] == "Failed"
        world.kube.refuse.clear()

        await world.cycles(3)

        assert len(world.claims) == 1

    async def test_when_the_lease_is_lost_in_between_no_claim_is_written(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        await world.cycle()

        def lose(line: str) -> None:
            if line.startswith("create capacityplans"):
                world.leading = False

        world.kube.before_write = lose
        with pytest.raises(NotLeading):
            await world.cycle()

        assert world.claims == []

    async def test_old_plans_are_pruned_by_mode(self) -> None:
        world = World()
        world.add_pool()
        for number in range(5):
            world.clock.now += 1
            for mode in ("Apply", "Recommend"):
                world.kube.put(
                    CAPACITYPLANS,
                    {
                        "apiVersion": "spotkube.io/v1alpha1",
                        "kind": "CapacityPlan",
                        "metadata": {"name": f"{mode.lower()}-{number}"},
                        "spec": {"mode": mode, "seed": 0},
                    },
                )

        await world.cycles(2)

        assert sorted(plan["metadata"]["name"] for plan in world.plans) == [
            "apply-2", "apply-3", "apply-4", "recommend-2", "recommend-3", "recommend-4"
        ]  # fmt: skip

    def test_nothing_is_pruned_below_what_is_kept(self) -> None:
        plan = CapacityPlan.from_dict({"metadata": {"name": "a"}, "spec": {"mode": "Apply", "seed": 0}})

        assert outdated([plan], 1) == []
        assert outdated([plan], 0) == [plan]

    async def test_an_error_is_the_callers(self) -> None:
        world = World()
        world.add_pool()
        world.kube.refuse["create capacityplans"] = UNAVAILABLE

        with pytest.raises(ApiError):
            await world.controllers.carrier.carry_out(decision(Plan((NODE,))), await world.look())
        assert world.claims == []

    async def test_pods_of_nobody_hear_why_they_have_no_place(self) -> None:
        world = World()
        for number in range(MAX_TOLD + 1):
            world.add_pod(f"web-{number}")
        uids = tuple(pod["metadata"]["uid"] for pod in world.kube.all(PODS))
        plan = Plan(unplaceable=(Unplaceable("web", uids, "they are too large"),))

        await world.controllers.carrier.carry_out(decision(plan), await world.look())
        await world.tools.recorder.flush()

        events = world.kube.all(EVENTS)
        assert len(events) == MAX_TOLD
        assert {event["regarding"]["uid"] for event in events} <= set(uids)
        assert {(e["type"], e["reason"], e["note"]) for e in events} == {("Warning", "NoPlace", "they are too large")}

    async def test_pods_of_a_workload_leave_it_to_that(self) -> None:
        world = World()
        raw = world.add_pod()
        found = await world.look()
        pods = {uid: replace(pod, workload="shop/web") for uid, pod in found.pods.items()}
        plan = Plan(unplaceable=(Unplaceable("web", (raw["metadata"]["uid"],), "they are too large"),))

        await world.controllers.carrier.carry_out(decision(plan), replace(found, pods=pods))
        await world.tools.recorder.flush()

        assert world.kube.all(EVENTS) == []

    async def test_the_log_says_what_was_decided_and_why(self, caplog: pytest.LogCaptureFixture) -> None:
        world = World()
        world.add_pool()
        plan = Plan((NODE,), cost_after_micro_usd_hour=100_000, placed_pods=1)

        with caplog.at_level("INFO", logger="spotkube.controllers.carrying"):
            await world.controllers.carrier.carry_out(decision(plan), await world.look())

        (line,) = caplog.messages
        assert line.endswith(
            ": 1 nodes to buy and 0 to give back, 1 pods placed, 0 without a place, $0.1000 an hour (one pod waits)"
        )
