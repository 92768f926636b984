"""A head that was paused before it wrote its claim must not make the other one buy a second time."""

from __future__ import annotations

from typing import Any

import pytest

from builders import make_pods, make_pool
from controller_builders import World
from fake_kube import START, rfc3339
from fake_provider import OFFERING
from spotkube.api import NodeClaim
from spotkube.cluster.resources import NODECLAIMS
from spotkube.controllers.carrying import Carrier
from spotkube.controllers.claims import steps
from spotkube.controllers.claims.deciding import next_step
from spotkube.controllers.claims.overtaken import overtaken
from spotkube.controllers.claims.steps import Facts, GiveBackReason
from spotkube.controllers.plans import Decision
from spotkube.model import labels
from spotkube.model.cluster import Mode
from spotkube.model.plan import Plan, PlannedNode
from spotkube.providers.port import Instance, InstanceState


def make_claim(
    name: str, plan: str, decided: float | None, created: float, phase: str = "Pending", **more: Any
) -> NodeClaim:
    """Times are seconds after START."""
    annotations = {} if decided is None else {labels.DECIDED_AT: rfc3339(START + decided)}
    metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": rfc3339(START + created)}
    spec = {
        "nodePool": "pool", "instanceType": "m.large", "zone": "zone-a", "capacityType": "spot", "arch": "amd64",
        "priceUSDPerHour": 0.03, "allocatable": {"cpu": "2"}, "plan": plan,
    }  # fmt: skip
    body = {"metadata": {**metadata, "annotations": annotations, **more}, "spec": spec, "status": {"phase": phase}}
    return NodeClaim.from_dict({"apiVersion": "spotkube.io/v1alpha1", "kind": "NodeClaim", **body})


LATE = make_claim("late", "plan-a", decided=0, created=20)


@pytest.mark.parametrize("phase", ["Pending", "Launched", "Ready", "Draining"])
def test_a_claim_is_overtaken_by_one_that_was_written_after_its_decision(phase: str) -> None:
    other = make_claim("first", "plan-b", decided=9, created=10, phase=phase)

    assert overtaken([LATE, other]) == {"late"}


def test_also_by_one_of_the_same_second() -> None:
    assert overtaken([LATE, make_claim("first", "plan-b", decided=19, created=20)]) == {"late"}


def test_decisions_one_after_the_other_leave_all_as_they_are() -> None:
    slow = [make_claim(f"a{n}", "plan-a", decided=0, created=n) for n in range(5)]
    then = [make_claim(f"b{n}", "plan-b", decided=5, created=5 + n) for n in range(5)]

    assert overtaken(slow + then) == frozenset()


def test_what_was_bought_or_leaves_already_is_not_looked_at() -> None:
    first = make_claim("first", "plan-b", decided=9, created=10)
    bought = make_claim("late", "plan-a", decided=0, created=20, phase="Launched")
    leaving = make_claim("gone", "plan-a", decided=0, created=20, deletionTimestamp=rfc3339(START + 30))

    assert overtaken([first, bought, leaving]) == frozenset()


@pytest.mark.parametrize("told", ["", "yesterday", "2026-01-01T00:00:00"])
def test_without_a_time_of_its_decision_nothing_is_concluded(told: str) -> None:
    claim = make_claim("late", "plan-a", None, created=20, annotations={labels.DECIDED_AT: told})

    assert overtaken([claim, make_claim("first", "plan-b", 9, created=10)]) == frozenset()


def facts(machine: Instance | None = None, *, known: bool = True) -> Facts:
    pool = make_pool(mode=Mode.APPLY)
    return Facts(START + 30, pool, None, machine, known, (), margin_seconds=5.0, overtaken=True)


def test_it_is_given_back_unbought() -> None:
    step = next_step(LATE, facts())

    assert isinstance(step, steps.GiveBack)
    assert (step.reason, step.rest) == (GiveBackReason.OVERTAKEN, False)


def test_but_what_was_bought_for_it_is_taken_over() -> None:
    machine = Instance("i-1", "uid-late", "late", OFFERING.key, InstanceState.RUNNING, START)

    assert next_step(LATE, facts(machine)) == steps.Launch()
    assert isinstance(next_step(LATE, facts(known=False)), steps.Wait)


async def test_of_two_heads_that_decide_for_the_same_pods_one_buys() -> None:
    world = World()
    world.add_pool()
    pods = make_pods(1)
    plan = Plan((PlannedNode("pool", OFFERING, (pods[0].uid,), "it is there"),), placed_pods=1)
    decision = Decision(Mode.APPLY, 7, "a pod waits", plan, 0.1)
    carrier = Carrier(world.tools, world.placement, 3)

    def another_head_acts_first(line: str) -> None:
        if line.startswith(f"create {NODECLAIMS.plural}/"):
            world.kube.before_write = lambda line: None
            world.clock.now += 10
            first = make_claim("first", "apply-of-the-other", decided=5, created=10)
            world.kube.put(NODECLAIMS, first.to_dict())

    world.kube.before_write = another_head_acts_first
    await carrier.carry_out(decision, await world.look())
    await world.controllers.claims.reconcile(await world.look())

    assert [name for name, claim in claims(world).items() if "deletionTimestamp" not in claim["metadata"]] == ["first"]
    assert {order.name for order in world.cloud.sold} == {"first"}


def claims(world: World) -> dict[str, Any]:
    return {claim["metadata"]["name"]: claim for claim in world.kube.all(NODECLAIMS)}
