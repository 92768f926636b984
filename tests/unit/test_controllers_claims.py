"""The life of a claim: what is due in every state, and that it may be done again after any interruption."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from builders import make_node, make_pod, make_pool, taint
from fake_kube import START, rfc3339
from fake_provider import OFFERING
from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import Phase
from spotkube.controllers.claims import arriving, patches, steps
from spotkube.controllers.claims.deciding import next_step
from spotkube.controllers.claims.draining import How, PodAction
from spotkube.controllers.claims.steps import Facts, GiveBackReason, Step
from spotkube.model.cluster import Mode, Node, Rebalance
from spotkube.model.labels import (
    AVOID_TAINT,
    DISRUPTED_TAINT,
    EXCLUDE_FROM_LOAD_BALANCERS,
    UNREGISTERED_TAINT,
)
from spotkube.model.notices import Notice, NoticeKind
from spotkube.model.pods import Pod
from spotkube.model.volumes import ClaimUse, NodeVolume
from spotkube.providers.port import Instance, InstanceState

NOW = START + 100
SPOT_ITN = Notice(NoticeKind.SPOT_INTERRUPTION, "spot-itn", "n/spot-itn", 120.0)
Object = dict[str, Any]


def make_claim(
    phase: str | None = None,
    *,
    deleting: bool = False,
    notice: float | None = None,
    warned: bool = False,
    **spec: Any,
) -> NodeClaim:
    """Made at START; entered its phase then too. `notice` is a stored deadline."""
    times = {phase: rfc3339(START)} if phase else {}
    status: Object = {"phase": phase, "phaseTimes": times, "providerID": "i-1" if phase else None}
    for name, moment in (("notice", notice), ("warning", START if warned else None)):
        if moment is not None:
            at = rfc3339(moment)
            status[name] = {
                "kind": "SpotInterruption", "source": "spot-itn", "deadline": at, "receivedAt": at, "id": SPOT_ITN.id
            }  # fmt: skip
    metadata: Object = {"name": "n", "uid": "uid-n", "creationTimestamp": rfc3339(START)}
    if deleting:
        metadata["deletionTimestamp"] = rfc3339(START)
    body = {
        "nodePool": "pool", "instanceType": "m.large", "zone": "zone-a", "capacityType": "spot", "arch": "amd64",
        "priceUSDPerHour": 0.03, "allocatable": {"cpu": "2"}, **spec,
    }  # fmt: skip
    return NodeClaim.from_dict(
        {
            "apiVersion": "spotkube.io/v1alpha1",
            "kind": "NodeClaim",
            "metadata": metadata,
            "spec": body,
            "status": status,
        }
    )


def instance(state: InstanceState = InstanceState.RUNNING, deadline: float | None = None) -> Instance:
    return Instance("i-1", "uid-n", "n", OFFERING.key, state, START, termination_deadline=deadline)


OPEN = make_node("n", claim="n")
NEW = make_node("n", claim="n", taints=(taint(UNREGISTERED_TAINT),))
STARTING = replace(NEW, ready=False)
CLOSED = make_node(
    "n",
    claim="n",
    unschedulable=True,
    taints=(taint(DISRUPTED_TAINT),),
    labels={EXCLUDE_FROM_LOAD_BALANCERS: "true"},
)


def facts(node: Node | None = None, machine: Instance | None = None, **fields: Any) -> Facts:
    """A claim of a pool that applies, of a cloud that answers."""
    pods = tuple(fields.pop("pods", ()))
    known = {"pool": make_pool(mode=Mode.APPLY), "instances_known": True, "now": NOW, **fields}
    return Facts(node=node, instance=machine, pods=pods, margin_seconds=5.0, **known)


def reason(step: Step) -> GiveBackReason:
    assert isinstance(step, steps.GiveBack), step
    return step.reason


class TestArriving:
    def test_a_new_claim_is_bought(self) -> None:
        assert next_step(make_claim(), facts()) == steps.Launch()

    def test_also_when_the_cloud_cannot_be_listed(self) -> None:
        assert next_step(make_claim(), facts(instances_known=False)) == steps.Launch()

    @pytest.mark.parametrize("mode", [Mode.RECOMMEND, Mode.PAUSED])
    def test_not_when_its_pool_does_not_apply_any_more(self, mode: Mode) -> None:
        pool = make_pool(mode=mode)

        assert reason(next_step(make_claim(), facts(pool=pool))) is GiveBackReason.POOL_NOT_APPLIED
        assert isinstance(next_step(make_claim(), facts(pool=pool, instances_known=False)), steps.Wait)

    def test_what_was_bought_by_then_is_taken_over(self) -> None:
        step = next_step(make_claim(), facts(machine=instance(), pool=make_pool(mode=Mode.PAUSED)))

        assert step == steps.Launch()

    def test_its_node_joins(self) -> None:
        assert next_step(make_claim("Launched"), facts(NEW, instance())) == steps.Advance(Phase.REGISTERED, node="n")
        assert isinstance(next_step(make_claim("Launched"), facts(None, instance())), steps.Wait)

    def test_one_that_is_ready_soon_goes_into_use_at_once(self) -> None:
        claim, just_now = make_claim("Launched"), {"joined_at": NOW - arriving.JOINING_SECONDS + 1}

        assert next_step(claim, facts(NEW, instance(), **just_now)) == steps.Open("n")
        assert next_step(claim, facts(OPEN, instance(), **just_now)) == steps.Advance(Phase.READY, node="n")
        lands, starts = facts(NEW, instance(), landing_since=NOW), facts(STARTING, instance())
        for waiting, seconds in ((lands, arriving.SETTLING_SECONDS), (starts, arriving.JOINING_SECONDS)):
            soon, late = (replace(waiting, joined_at=NOW - seconds + more) for more in (1, 0))
            assert isinstance(next_step(claim, soon), steps.Wait)
            assert next_step(claim, late) == steps.Advance(Phase.REGISTERED, node="n")

    def test_it_opens_to_all_when_the_pods_of_its_plan_are_bound_or_it_has_waited_for_long(self) -> None:
        claim = make_claim("Registered")
        waiting = steps.Wait("the pods of its plan take their places first")
        late = NOW - arriving.LANDING_SECONDS

        assert next_step(claim, facts(NEW, instance(), landing_since=late + 1)) == waiting
        assert next_step(claim, facts(NEW, instance(), landing_since=late)) == steps.Open("n")
        assert next_step(claim, facts(NEW, instance())) == steps.Open("n")
        assert next_step(claim, facts(OPEN, instance())) == steps.Advance(Phase.READY, node="n")

    def test_one_whose_pods_take_long_to_land_is_not_given_back(self) -> None:
        claim, late = make_claim("Registered"), START + 10_000

        step = next_step(claim, facts(NEW, instance(), landing_since=late - 1, now=late))

        assert step == steps.Wait("the pods of its plan take their places first")

    def test_it_is_not_ready_before_its_node_is_and_startup_taints_are_gone(self) -> None:
        claim = make_claim("Registered", startupTaints=[{"key": "cni", "effect": "NoSchedule"}])
        started = make_node("n", claim="n", taints=(taint("cni"),))

        assert isinstance(next_step(claim, facts(replace(OPEN, ready=False), instance())), steps.Wait)
        assert isinstance(next_step(claim, facts(started, instance())), steps.Wait)
        assert next_step(claim, facts(OPEN, instance())) == steps.Advance(Phase.READY, node="n")

    def test_ready_is_quiet(self) -> None:
        assert next_step(make_claim("Ready"), facts(OPEN, instance())) == steps.Wait()


class TestGivingBack:
    @pytest.mark.parametrize("phase", [None, "Launched", "Registered"])
    def test_what_is_not_ready_in_time(self, phase: str | None) -> None:
        step = next_step(make_claim(phase), facts(None, instance(), now=START + 301))

        assert step == steps.GiveBack(GiveBackReason.NOT_READY, "not Ready 300 s after it was ordered", rest=True)

    def test_but_not_what_has_been_ready(self) -> None:
        assert next_step(make_claim("Ready"), facts(OPEN, instance(), now=START + 10_000)) == steps.Wait()

    @pytest.mark.parametrize("phase", ["Launched", "Registered", "Ready"])
    @pytest.mark.parametrize("machine", [None, instance(InstanceState.TERMINATED)])
    def test_what_lost_its_instance(self, phase: str, machine: Instance | None) -> None:
        assert reason(next_step(make_claim(phase), facts(OPEN, machine))) is GiveBackReason.INSTANCE_GONE

    def test_nothing_is_concluded_from_a_cloud_that_does_not_answer(self) -> None:
        silent: Object = {"machine": None, "instances_known": False}
        for claim in (make_claim("Launched"), make_claim("Ready")):
            assert next_step(claim, facts(OPEN, **silent)) == steps.Wait("the cloud does not answer")
        leaving = make_claim("Draining", deleting=True)
        for node in (None, CLOSED):
            assert next_step(leaving, facts(node, **silent)) == steps.Wait("the cloud does not answer")

    def test_pods_are_drained_though_the_cloud_does_not_answer(self) -> None:
        web = make_pod("web", node="n")

        step = next_step(make_claim("Draining", deleting=True), facts(CLOSED, pods=[web], instances_known=False))

        assert isinstance(step, steps.Drain) and step.actions == (PodAction(web),)

    def test_what_lost_its_node(self) -> None:
        claim = make_claim("Ready")

        assert isinstance(next_step(claim, facts(None, instance(), now=START + 14)), steps.Wait)
        assert reason(next_step(claim, facts(None, instance(), now=START + 15))) is GiveBackReason.NODE_LOST

    @pytest.mark.parametrize("phase", ["Registered", "Ready"])
    def test_whose_node_somebody_deletes(self, phase: str) -> None:
        step = next_step(make_claim(phase), facts(replace(OPEN, deleting=True), instance()))

        assert reason(step) is GiveBackReason.NODE_DELETED

    def test_whose_node_the_cloud_deletes_with_its_machine(self) -> None:
        """Its offering rests, unlike that of a node which somebody deleted."""
        step = next_step(make_claim("Ready"), facts(replace(OPEN, deleting=True), instance(InstanceState.TERMINATED)))

        assert reason(step) is GiveBackReason.INSTANCE_GONE
        assert isinstance(step, steps.GiveBack)
        assert step.rest

    @pytest.mark.parametrize("pool", [None, make_pool(mode=Mode.APPLY, deleting=True), make_pool(deleting=True)])
    def test_whose_pool_is_deleted(self, pool: Any) -> None:
        assert reason(next_step(make_claim("Ready"), facts(OPEN, instance(), pool=pool))) is GiveBackReason.POOL_DELETED

    def test_not_when_its_pool_is_only_unreadable(self) -> None:
        unreadable: Object = {"pool": None, "pool_unreadable": True}

        assert next_step(make_claim("Ready"), facts(OPEN, instance(), **unreadable)) == steps.Wait()
        assert isinstance(next_step(make_claim(), facts(**unreadable)), steps.Wait)


class TestNotice:
    @pytest.mark.parametrize("claim", [make_claim("Ready"), make_claim("Draining", deleting=True)])
    def test_it_is_stored_first_with_its_absolute_deadline(self, claim: NodeClaim) -> None:
        node = replace(CLOSED, notice=SPOT_ITN)

        assert next_step(claim, facts(node, instance())) == steps.RecordNotice(SPOT_ITN, NOW + 120)

    def test_the_deadline_that_the_sign_tells_counts(self) -> None:
        told = replace(SPOT_ITN, deadline=NOW + 33)

        assert next_step(make_claim("Ready"), facts(replace(OPEN, notice=told), instance())) == steps.RecordNotice(
            told, NOW + 33
        )

    def test_then_the_claim_is_given_back_and_its_offering_rests(self) -> None:
        claim = make_claim("Ready", notice=NOW + 120)
        assert next_step(claim, facts(replace(OPEN, notice=SPOT_ITN), instance())) == steps.Cordon("n")
        step = next_step(claim, facts(replace(CLOSED, notice=SPOT_ITN), instance()))

        assert reason(step) is GiveBackReason.NOTICE
        assert isinstance(step, steps.GiveBack) and step.rest

    def test_a_warning_alone_ends_nothing(self) -> None:
        warning = replace(SPOT_ITN, ends_instance=False)
        warned = facts(replace(OPEN, notice=warning), instance())

        assert next_step(make_claim("Ready"), warned) == steps.RecordWarning(warning, NOW + 120)
        assert next_step(make_claim("Ready", warned=True), warned) == steps.Avoid("n")

    def test_a_message_and_the_sign_of_a_node_the_sooner_end_counts(self) -> None:
        message = replace(SPOT_ITN, id="b4f1", source="message", lead_seconds=0.0, deadline=NOW + 90)
        both = facts(replace(OPEN, notice=SPOT_ITN), instance(), told=(message,))
        sooner = facts(replace(OPEN, notice=replace(SPOT_ITN, deadline=NOW + 30)), instance(), told=(message,))

        assert next_step(make_claim("Ready"), both) == steps.RecordNotice(message, NOW + 90)
        assert next_step(make_claim("Ready"), sooner).deadline == NOW + 30  # type: ignore[union-attr]

    def test_an_interruption_takes_over_from_a_warning(self) -> None:
        warning = replace(SPOT_ITN, id="warning", ends_instance=False, deadline=NOW + 1)
        seen = facts(OPEN, instance(), told=(warning, SPOT_ITN))

        assert next_step(make_claim("Ready", warned=True), seen) == steps.RecordNotice(SPOT_ITN, NOW + 120)

    def test_word_of_an_end_that_we_brought_about_is_no_news(self) -> None:
        told = (Notice(NoticeKind.INSTANCE_TERMINATION, "state change", "b4f1", 0.0, NOW - 1),)
        ended, runs = instance(InstanceState.TERMINATING), instance()

        ours = next_step(make_claim("Draining", deleting=True), facts(CLOSED, ended, told=told))
        others = [
            next_step(make_claim("Ready"), facts(OPEN, ended, told=told)),
            next_step(make_claim("Draining", deleting=True), facts(CLOSED, runs, told=told)),
        ]

        assert ours == steps.Wait("its instance is shutting down")
        assert others == [steps.RecordNotice(told[0], NOW - 1)] * 2

    @pytest.mark.parametrize("deadline", [-1e11, 1e12, 253402343999.0])
    def test_a_deadline_that_no_calendar_knows_is_stored_as_the_nearest_that_one_does(self, deadline: float) -> None:
        claim = make_claim("Ready")

        step = next_step(claim, facts(replace(OPEN, notice=replace(SPOT_ITN, deadline=deadline)), instance()))

        assert isinstance(step, steps.RecordNotice)
        stored = patches.noticed(claim, step, NOW).notice
        assert stored is not None
        assert stored.deadline.year in (1970, 9999)

    def test_the_cloud_itself_may_know_of_it_before_there_is_a_node(self) -> None:
        step = next_step(make_claim("Launched"), facts(None, instance(deadline=NOW + 60)))

        assert isinstance(step, steps.RecordNotice)
        assert (step.deadline, step.notice.source) == (NOW + 60, "provider")

    @pytest.mark.parametrize("deleting", [False, True])
    def test_a_sooner_end_replaces_a_later_one_and_not_the_other_way_round(self, deleting: bool) -> None:
        claim = make_claim("Draining" if deleting else "Ready", deleting=deleting, notice=NOW + 600)
        sooner = Notice(NoticeKind.SPOT_INTERRUPTION, "itn", "n/itn", 120.0)
        later = Notice(NoticeKind.SCHEDULED_MAINTENANCE, "maintenance", "n/m", 900.0)

        assert next_step(claim, facts(replace(CLOSED, notice=sooner), instance())) == steps.RecordNotice(
            sooner, NOW + 120
        )
        assert not isinstance(next_step(claim, facts(replace(CLOSED, notice=later), instance())), steps.RecordNotice)

    def test_the_same_sign_is_not_stored_again_while_time_goes_on(self) -> None:
        claim = make_claim("Draining", deleting=True, notice=NOW + 600)

        step = next_step(claim, facts(replace(CLOSED, notice=SPOT_ITN), instance()))

        assert not isinstance(step, steps.RecordNotice)


class TestRebalance:
    """What a recommendation to leave a node comes to, by the pool's policy."""

    def step(self, policy: Rebalance, *pods: Pod, mode: Mode = Mode.APPLY, node: Node = OPEN) -> Step:
        pool = make_pool(mode=mode, rebalance=policy)
        return next_step(make_claim("Ready", warned=True), facts(node, instance(), pool=pool, pods=pods))

    def test_ignore(self) -> None:
        assert self.step(Rebalance.IGNORE) == steps.Wait()
        avoided = replace(OPEN, taints=(taint(AVOID_TAINT),))
        assert self.step(Rebalance.IGNORE, node=avoided) == steps.Avoid("n", closed=False)
        (_, remove) = patches.door_patch(avoided, steps.Avoid("n", closed=False))
        assert remove == {"op": "remove", "path": "/spec/taints/0"}

    @pytest.mark.parametrize("policy", [Rebalance.AVOID, Rebalance.REPLACE])
    def test_nothing_new_comes(self, policy: Rebalance) -> None:
        slow = replace(make_pod(node="n"), grace_seconds=600)
        assert self.step(policy, slow) == steps.Avoid("n"), "whether it is replaced is decided elsewhere"
        avoided = replace(OPEN, taints=(taint(AVOID_TAINT),))
        assert self.step(policy, slow, node=avoided) == steps.Wait()

    @pytest.mark.parametrize("mode", [Mode.RECOMMEND, Mode.PAUSED])
    def test_a_pool_that_does_not_apply_is_left_as_it_is(self, mode: Mode) -> None:
        assert self.step(Rebalance.REPLACE, replace(make_pod(node="n"), grace_seconds=600), mode=mode) == steps.Wait()


class TestSilentNodes:
    def test_a_kubelet_that_does_not_answer_holds_up_a_drain_for_two_minutes(self) -> None:
        """Nobody would ever say that its pods have ended."""
        claim, dead = make_claim("Draining", deleting=True), replace(CLOSED, ready=False)
        pods = (make_pod(node="n"),)
        waiting = next_step(claim, facts(dead, instance(), pods=pods, now=START + 119))
        assert isinstance(waiting, steps.Drain)
        assert [action.how for action in waiting.actions] == [How.FORCE]
        over = facts(dead, instance(), pods=(replace(pods[0], deleting=True),), now=START + 120)
        assert next_step(claim, over) == steps.EndInstance("i-1")

    def test_one_that_answers_is_waited_for(self) -> None:
        claim, pods = make_claim("Draining", deleting=True), (make_pod(node="n"),)
        step = next_step(claim, facts(CLOSED, instance(), pods=pods, now=START + 10_000))
        assert isinstance(step, steps.Drain)
        assert [action.how for action in step.actions] == [How.EVICT]


class TestLeaving:
    def test_what_was_never_bought_just_ends(self) -> None:
        assert next_step(make_claim(deleting=True), facts()) == steps.Finish()

    def test_its_node_is_closed_before_that_is_stored(self) -> None:
        """The time that is stored with it is when the last pod may have been placed there."""
        claim = make_claim("Ready", deleting=True)

        assert next_step(claim, facts(OPEN, instance())) == steps.Cordon("n")
        assert next_step(claim, facts(CLOSED, instance())) == steps.Advance(Phase.DRAINING, provider_id="i-1")

    def test_what_was_bought_without_our_knowing_is_drained_and_ended(self) -> None:
        step = next_step(make_claim(deleting=True), facts(None, instance()))

        assert step == steps.Advance(Phase.DRAINING, provider_id="i-1")

    def test_the_node_is_closed_before_pods_are_asked(self) -> None:
        claim = make_claim("Draining", deleting=True)

        assert next_step(claim, facts(OPEN, instance(), pods=[make_pod(node="n")])) == steps.Cordon("n")

    @pytest.mark.parametrize("missing", ["unschedulable", "taints", "labels"])
    def test_closed_means_all_three_marks(self, missing: str) -> None:
        node = replace(CLOSED, **{missing: getattr(OPEN, missing)})

        assert next_step(make_claim("Draining", deleting=True), facts(node, instance())) == steps.Cordon("n")

    def test_pods_are_waited_for_without_end_where_there_is_no_deadline(self) -> None:
        going = make_pod("web", node="n", deleting=True)

        step = next_step(make_claim("Draining", deleting=True), facts(CLOSED, instance(), pods=[going], now=NOW + 1e6))

        assert step == steps.Drain((), "1 pods still have to leave, such as default/web")

    def test_nothing_is_said_of_a_drain_before_its_deadline_that_goes_as_it_should(self) -> None:
        """A write for each node of a burst would take the time that its pods need."""
        claim = make_claim("Draining", deleting=True, notice=NOW + 100)
        going = make_pod("web", node="n", deleting=True)
        stays = make_pod("db", node="n")

        assert next_step(claim, facts(CLOSED, instance(), pods=[going])) == steps.Drain((), "")
        step = next_step(claim, facts(CLOSED, instance(), pods=[going, stays]))
        assert isinstance(step, steps.Drain)
        assert step.message == "2 pods still have to leave, such as default/web"

    def test_pods_that_opted_out_are_named(self) -> None:
        stays = replace(make_pod("web", node="n"), do_not_disrupt=True)

        step = next_step(make_claim("Draining", deleting=True), facts(CLOSED, instance(), pods=[stays]))

        assert isinstance(step, steps.Drain) and "opted out" in step.message and step.actions == ()

    def test_with_a_deadline_they_are_waited_for_until_then(self) -> None:
        claim, going = make_claim("Draining", deleting=True, notice=NOW), make_pod(node="n", deleting=True)

        assert isinstance(next_step(claim, facts(CLOSED, instance(), pods=[going], now=NOW - 1)), steps.Drain)
        assert next_step(claim, facts(CLOSED, instance(), pods=[going])) == steps.EndInstance("i-1")

    def test_an_instance_that_outlives_its_deadline_gives_pods_that_nobody_asked_a_second(self) -> None:
        """We were down, or the sign came late."""
        claim, web = make_claim("Draining", deleting=True, notice=NOW - 3), make_pod("web", node="n")

        step = next_step(claim, facts(CLOSED, instance(), pods=[web]))

        assert isinstance(step, steps.Drain) and step.actions == (PodAction(web, How.FORCE, 1),)
        assert next_step(claim, facts(CLOSED, instance(), pods=[web], now=NOW + 7)) == steps.EndInstance("i-1")

    def test_daemons_and_mirrors_are_not_waited_for(self) -> None:
        pods = [make_pod(node="n", daemon=True), replace(make_pod(node="n"), mirror=True)]

        step = next_step(make_claim("Draining", deleting=True), facts(CLOSED, instance(), pods=pods))

        assert step == steps.LookAgain("n")

    def test_daemons_are_waited_for_at_a_notice_unless_they_came_back(self) -> None:
        claim, log = make_claim("Draining", deleting=True, notice=NOW + 100), make_pod(node="n", daemon=True)

        step = next_step(claim, facts(CLOSED, instance(), pods=[log]))
        assert isinstance(step, steps.Drain) and step.actions == (PodAction(log),)
        back = replace(log, created_at=START + 1)
        assert next_step(claim, facts(CLOSED, instance(), pods=[back])) == steps.LookAgain("n")

    def test_pods_that_raced_the_cordon_are_looked_for(self) -> None:
        claim = make_claim("Draining", deleting=True)

        assert isinstance(next_step(claim, facts(CLOSED, instance(), now=START + 4)), steps.Wait)
        assert next_step(claim, facts(CLOSED, instance(), now=START + 5)) == steps.LookAgain("n")
        assert next_step(claim, facts(CLOSED, instance(), looked_again=True)) == steps.EndInstance("i-1")
        assert next_step(claim, facts(None, instance(), now=START)) == steps.EndInstance("i-1")

    def test_an_instance_stays_until_load_balancers_have_forgotten_it(self) -> None:
        claim = make_claim("Draining", deleting=True)
        known: Object = {"balancer_seconds": 20.0, "looked_again": True}

        assert isinstance(next_step(claim, facts(CLOSED, instance(), now=START + 19, **known)), steps.Wait)
        assert next_step(claim, facts(CLOSED, instance(), now=START + 20, **known)) == steps.EndInstance("i-1")

    def test_volumes_of_pods_that_left_are_waited_for(self) -> None:
        claim, known = make_claim("Draining", deleting=True), {"attached": (NodeVolume("n", "pv-1"),)}

        assert next_step(claim, facts(CLOSED, instance(), **known)) == steps.RecordDrained()
        drained = claim.model_copy(update={"status": patches.drained(claim, NOW)})
        waits = next_step(drained, facts(CLOSED, instance(), now=NOW + 419, **known))
        assert isinstance(waits, steps.Wait) and "pv-1" in waits.message
        assert next_step(drained, facts(CLOSED, instance(), now=NOW + 420, **known)) == steps.LookAgain("n")

    def test_volumes_of_daemons_are_never_detached(self) -> None:
        log = replace(make_pod(node="n", daemon=True), claims=(ClaimUse("logs"),))
        known: Object = {"attached": (NodeVolume("n", "pv-1", ("default", "logs")),), "pods": [log]}

        step = next_step(make_claim("Draining", deleting=True), facts(CLOSED, instance(), **known))

        assert step == steps.LookAgain("n")

    def test_no_volume_keeps_an_instance_beyond_its_deadline(self) -> None:
        claim = make_claim("Draining", deleting=True, notice=NOW)
        drained = claim.model_copy(update={"status": patches.drained(claim, NOW - 9)})
        known: Object = {"attached": (NodeVolume("n", "pv-1"),)}

        assert isinstance(next_step(drained, facts(CLOSED, instance(), now=NOW - 1, **known)), steps.Wait)
        assert next_step(drained, facts(CLOSED, instance(), now=NOW, **known)) == steps.EndInstance("i-1")

    def test_an_instance_that_is_shutting_down_is_waited_for(self) -> None:
        claim = make_claim("Draining", deleting=True)

        assert isinstance(next_step(claim, facts(CLOSED, instance(InstanceState.TERMINATING))), steps.Wait)

    @pytest.mark.parametrize("machine", [None, instance(InstanceState.TERMINATED)])
    def test_the_end(self, machine: Instance | None) -> None:
        claim = make_claim("Draining", deleting=True)

        assert next_step(claim, facts(CLOSED, machine)) == steps.RemoveNode("n")
        assert next_step(claim, facts(None, machine)) == steps.Advance(Phase.TERMINATED)
        assert next_step(make_claim("Terminated", deleting=True), facts(None, machine)) == steps.Finish()

    def test_an_instance_that_may_run_keeps_its_node(self) -> None:
        for state in (InstanceState.PENDING, InstanceState.RUNNING, InstanceState.TERMINATING):
            step = next_step(make_claim("Draining", deleting=True), facts(CLOSED, instance(state)))
            assert not isinstance(step, steps.RemoveNode | steps.Finish)


class TestConditions:
    def test_they_follow_the_phases(self) -> None:
        claim = make_claim()
        for phase in (Phase.LAUNCHED, Phase.REGISTERED, Phase.READY):
            claim = claim.model_copy(update={"status": patches.advanced(claim, steps.Advance(phase), NOW)})

        assert {c.type: c.status.value for c in claim.status.conditions} == {
            "Launched": "True", "Registered": "True", "Ready": "True", "Draining": "False"
        }  # fmt: skip
        leaving = patches.advanced(claim, steps.Advance(Phase.DRAINING), NOW + 9)
        ready = next(c for c in leaving.conditions if c.type == "Ready")
        assert (ready.status.value, ready.last_transition_time) == ("False", datetime.fromtimestamp(NOW + 9, UTC))

    def test_a_phase_that_is_entered_again_keeps_what_is_known(self) -> None:
        claim = make_claim("Launched")

        status = patches.advanced(claim, steps.Advance(Phase.LAUNCHED), NOW)

        assert status.provider_id == "i-1"
