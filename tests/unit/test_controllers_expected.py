"""Pods that are declared are planned for before they are made, and take the places that were planned for them."""

from dataclasses import replace
from typing import Any

import pytest

from builders import make_pod
from controller_builders import World
from spotkube.cluster.resources import DEPLOYMENTS, REPLICASETS
from spotkube.controllers.expected import (
    DOUBTED_SECONDS,
    FIRST_SECONDS,
    MOST_AT_ONCE,
    STUCK_SECONDS,
    ExpectedPods,
    missing_pods,
    unmade,
)
from spotkube.convert.pods import to_pod
from spotkube.convert.replicasets import ReplicaSet, to_replica_set
from spotkube.convert.templates import to_template
from spotkube.model.labels import PLACEMENT_GATE, QUEUE_GATE
from spotkube.model.pods import Pod
from spotkube.model.volumes import ClaimUse
from unit.workload_builders import make_job, make_source, make_target

TEMPLATE = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}]}}
OWNER = ("default", "ReplicaSet/web")


def waiting(name: str, created_at: float = 0.0, **wants: Any) -> Pod:
    return replace(make_pod(name, owner="ReplicaSet/web", **wants), created_at=created_at)


def replica_set(replicas: int = 3, **status: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "shop", "uid": "uid-rs", "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {"replicas": replicas}, "status": status}


def revision(template_hash: str, replicas: int) -> ReplicaSet:
    raw = replica_set(replicas)
    raw["metadata"] |= {"name": f"web-{template_hash}", "labels": {"pod-template-hash": template_hash}}
    found = to_replica_set(raw)
    assert found is not None
    return found


class TestWhoLacksPods:
    def test_a_job_that_waits_is_named_only_if_pods_of_it_were_evicted(self) -> None:
        jobs = {name: make_source(make_job(name), suspend=True) for name in ("taken-back", "waits")}
        runs = make_source(make_job("runs"))
        sources = {one.key: one for one in (*jobs.values(), runs)}

        found = missing_pods(sources, (), (), {jobs["taken-back"].key})

        assert found == {jobs["taken-back"].key: 0, runs.key: runs.replicas}

    def test_a_deployment_by_what_its_replica_sets_want_and_have(self) -> None:
        labels = {"pod-template-hash": "5d4f"}
        old, new = revision("5d4f", 4), revision("77c9", 3)
        controller = {"kind": "ReplicaSet", "name": "web-5d4f", "controller": True}
        metadata = {"name": "web-5d4f-x", "namespace": "shop", "uid": "u", "labels": labels}
        pod = to_pod({"metadata": {**metadata, "ownerReferences": [controller]}, "spec": {"containers": []}})
        source = make_target("web", replicas=5)
        assert pod is not None and source.key == ("shop", "Deployment/web")

        assert missing_pods({source.key: source}, [], [pod], ()) == {source.key: 4}, (
            "its ReplicaSet is still to be made"
        )
        assert missing_pods({source.key: source}, [old, new], [pod], ()) == {source.key: 6}
        assert missing_pods({source.key: source}, [replace(old, blocked=True), new], [pod], ()) == {source.key: 2}

    def test_a_deployment_that_does_not_roll_by_its_own_number(self) -> None:
        only = revision("5d4f", 4)
        source = make_target("web", replicas=50, template=TEMPLATE)

        assert missing_pods({source.key: source}, [only], [], ()) == {source.key: 50}
        assert missing_pods({source.key: source}, [replace(only, replicas=60)], [], ()) == {source.key: 60}
        assert missing_pods({source.key: source}, [replace(only, blocked=True)], [], ()) == {source.key: 0}
        assert missing_pods({source.key: source}, [only, revision("77c9", 3)], [], ()) == {source.key: 7}


class TestStandIns:
    def test_each_missing_pod_is_stood_in_for_by_a_copy_of_one_that_waits(self) -> None:
        pod = waiting("a")

        stand_ins = ExpectedPods().waiting([pod], {OWNER: 2}, now=0)

        assert len({one.uid for one in stand_ins} - {pod.uid}) == 2
        assert {one.shape for one in stand_ins} == {pod.shape}
        assert all(one.unschedulable and one.node is None for one in stand_ins)

    def test_their_names_stay_from_look_to_look(self) -> None:
        expected = ExpectedPods()

        first = expected.waiting([waiting("a")], {OWNER: 2}, now=0)

        assert expected.waiting([waiting("a")], {OWNER: 2}, now=1) == first

    def test_where_nobody_waits_there_is_room_and_nothing_to_plan(self) -> None:
        assert ExpectedPods().waiting([make_pod("a", owner="ReplicaSet/web", node="n")], {OWNER: 2}, now=0) == []

    def test_who_makes_none_for_long_is_not_believed(self) -> None:
        expected = ExpectedPods()
        expected.waiting([waiting("a")], {OWNER: 2}, now=0)

        assert expected.waiting([waiting("a")], {OWNER: 2}, now=STUCK_SECONDS) == []
        assert len(expected.waiting([waiting("a")], {OWNER: 1}, now=STUCK_SECONDS + 1)) == 1, "it made one"

    def test_one_digit_too_many_fills_no_memory(self) -> None:
        assert len(ExpectedPods().waiting([waiting("a")], {OWNER: 100_000_000}, now=0)) == MOST_AT_ONCE

    def test_volumes_of_a_pods_own_are_not_copied(self) -> None:
        pod = replace(waiting("a"), claims=(ClaimUse("a-scratch", ephemeral=True),))

        assert ExpectedPods().waiting([pod], {OWNER: 2}, now=0) == []

    def test_where_one_waits_for_its_queue_those_to_come_will_as_well(self) -> None:
        held = waiting("b", created_at=-1, gates=(QUEUE_GATE,))

        assert ExpectedPods().waiting([waiting("a"), held], {OWNER: 2}, now=0) == []

    def test_whose_first_pod_is_still_to_come_is_waited_for_a_while(self) -> None:
        expected = ExpectedPods()
        assert expected.waiting([], {OWNER: 2}, now=0) == []

        assert expected.are_coming(now=1)
        assert not expected.are_coming(now=FIRST_SECONDS)
        expected.waiting([waiting("a")], {OWNER: 1}, now=1)
        assert not expected.are_coming(now=1)


class TestTemplates:
    """Of whom no pod waits: what is to come is known by the template."""

    deployment = ("default", "Deployment/web")
    template = replace(make_pod("web", owner="Deployment/web"), unschedulable=False)

    def expect(self, expected: ExpectedPods, *pods: Pod, missing: int = 2, now: float = 0) -> list[Pod]:
        return expected.waiting(pods, {self.deployment: missing}, now, {self.deployment: self.template})

    def pod(self, name: str, **fields: Any) -> Pod:
        return make_pod(name, owner="Deployment/web", **fields)

    def test_its_pods_are_stood_in_for_before_the_first_is_made(self) -> None:
        expected = ExpectedPods()

        stand_ins = self.expect(expected)

        assert [one.shape for one in stand_ins] == [self.template.shape] * 2
        assert not any(one.unschedulable for one in stand_ins), "kube-scheduler has refused none"
        assert not expected.are_coming(now=1), "nothing is still to be learned of them"

    def test_the_first_pod_takes_its_place(self) -> None:
        expected = ExpectedPods()
        first, second = self.expect(expected)

        assert expected.settle([self.pod("a")], planned=(), now=1) == {"uid-a": first.uid}
        assert [one.uid for one in self.expect(expected, self.pod("a"), missing=1, now=1)] == [second.uid]

    def test_it_is_believed_where_pods_came_out_like_it(self) -> None:
        assert len(self.expect(ExpectedPods(), self.pod("a", node="n"))) == 2

    def test_not_where_they_came_out_otherwise(self) -> None:
        """As where a webhook gives each pod a sidecar, or where the template has changed meanwhile."""
        assert self.expect(ExpectedPods(), self.pod("a", node="n", cpu="7")) == []

    def test_where_they_come_out_otherwise_no_template_of_the_namespace_is_believed_for_a_while(self) -> None:
        expected = ExpectedPods()
        promised = {one.uid for one in self.expect(expected)}
        other = ("default", "Deployment/api")

        like_the_pod = self.expect(expected, self.pod("a", cpu="7"), missing=1, now=1)

        assert [one.shape for one in like_the_pod] == [self.pod("a", cpu="7").shape]
        assert not promised & {one.uid for one in like_the_pod}, "their places are of another size"
        assert expected.waiting([], {other: 1}, 2, {other: self.template}) == []
        assert len(expected.waiting([], {other: 1}, 1 + DOUBTED_SECONDS, {other: self.template})) == 1

    def test_those_to_come_are_gated_as_the_first_is(self) -> None:
        """By the policy of a namespace that opted in: kube-scheduler will refuse none of them."""
        expected = ExpectedPods()
        before = self.expect(expected)

        after = self.expect(expected, self.pod("a", gates=(PLACEMENT_GATE,)), now=1)

        assert [one.uid for one in after] == [one.uid for one in before]
        assert {one.gates for one in after} == {(PLACEMENT_GATE,)}

    def test_a_pod_that_waits_for_its_queue_tells_more(self) -> None:
        assert self.expect(ExpectedPods(), self.pod("a", gates=(QUEUE_GATE,))) == []

    def test_a_template_that_changes_makes_others(self) -> None:
        expected = ExpectedPods()
        before = self.expect(expected)
        changed = make_pod("web", owner="Deployment/web", cpu="7")

        after = expected.waiting([], {self.deployment: 2}, 1, {self.deployment: changed})

        assert [one.shape for one in after] == [changed.shape] * 2
        assert not {one.uid for one in before} & {one.uid for one in after}

    def test_none_of_a_deployment_that_is_being_deleted(self) -> None:
        raw = {"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": {}}
        raw["spec"] |= {"template": TEMPLATE}
        assert to_template(raw) is not None

        raw["metadata"]["deletionTimestamp"] = "now"
        assert to_template(raw) is None


class TestHeirs:
    def test_who_is_there_was_made_before_all_that_come(self) -> None:
        """Nodes come one after the other, and the first are for those that wait already."""
        expected = ExpectedPods()
        pods = [waiting("a", created_at=5.0)]

        first = expected.waiting(pods, {OWNER: 11}, now=7.5)
        more = expected.waiting(pods, {OWNER: 12}, now=8.5)

        assert {one.created_at for one in first} == {7.5}
        assert [one.created_at for one in more[11:]] == [8.5]
        assert sorted(more, key=lambda one: (one.created_at, one.uid)) == more, "whoever comes next has the first place"

    def test_a_pod_that_comes_takes_the_place_of_a_stand_in_once(self) -> None:
        expected = ExpectedPods()
        first, second = expected.waiting([waiting("a")], {OWNER: 2}, now=0)

        assert expected.settle([waiting("a"), waiting("b")], planned=(), now=1) == {"uid-b": first.uid}
        assert expected.heirs == {first.uid: "uid-b"}
        left = expected.waiting([waiting("a"), waiting("b")], {OWNER: 1}, now=1)
        assert [one.uid for one in left] == [second.uid]
        assert expected.settle([waiting("a"), waiting("b")], planned=(), now=2) == {}

    def test_places_that_are_planned_are_given_away_first(self) -> None:
        expected = ExpectedPods()
        _, second = expected.waiting([waiting("a")], {OWNER: 2}, now=0)

        assert expected.settle([waiting("a"), waiting("b")], planned={second.uid}, now=1) == {"uid-b": second.uid}

    def test_not_to_a_pod_of_another_size_or_owner(self) -> None:
        expected = ExpectedPods()
        expected.waiting([waiting("a")], {OWNER: 2}, now=0)
        others = [waiting("b", cpu="7"), make_pod("c", owner="ReplicaSet/other")]

        assert expected.settle([waiting("a"), *others], planned=(), now=1) == {}

    def test_the_name_says_whose_pod_it_stands_for(self) -> None:
        (stand_in,) = ExpectedPods().waiting([waiting("a")], {OWNER: 1}, now=0)

        assert unmade(stand_in.uid) == OWNER
        assert unmade("5f0e2a6c-8e0d-4d0c-9d3c-0a4b1c2d3e4f") is None


class TestReplicaSets:
    def test_what_it_wants(self) -> None:
        assert to_replica_set(replica_set()) == ReplicaSet(("shop", "ReplicaSet/web"), 3)

    @pytest.mark.parametrize("raw", [replica_set(0), {**replica_set(), "metadata": {"deletionTimestamp": "now"}}])
    def test_old_revisions_and_deleted_ones_want_nothing(self, raw: dict[str, Any]) -> None:
        assert to_replica_set(raw) is None

    def test_one_that_can_make_no_pods_says_so(self) -> None:
        failing = replica_set(conditions=[{"type": "ReplicaFailure", "status": "True"}])

        assert to_replica_set(failing) == ReplicaSet(("shop", "ReplicaSet/web"), 3, blocked=True)


class TestInTheLoop:
    @pytest.fixture(params=["web", "web-5d4f"])
    def owner(self, request: pytest.FixtureRequest) -> str:
        """A ReplicaSet of nobody's, or of a Deployment."""
        return str(request.param)

    @pytest.fixture
    def world(self, owner: str) -> World:
        world = World()
        world.add_pool()
        self.declare(world, owner)
        self.add_pod(world, owner, "web-1")
        return world

    @staticmethod
    def declare(world: World, owner: str, **status: Any) -> None:
        raw = replica_set(**status)
        labels = {"pod-template-hash": owner.removeprefix("web-")} if owner != "web" else {}
        world.kube.put(REPLICASETS, {**raw, "metadata": {**raw["metadata"], "name": owner, "labels": labels}})

    @staticmethod
    def add_pod(world: World, owner: str, name: str) -> None:
        labels = {"pod-template-hash": owner.removeprefix("web-")} if owner != "web" else {}
        world.add_pod(name, owner=f"ReplicaSet/{owner}", labels=labels)

    async def test_one_plan_is_made_for_all_that_are_declared(self, world: World) -> None:
        await world.decided()

        planned = [uid for claim in world.claims for uid in planned_on(claim)]
        assert len(planned) == 3

    async def test_pods_that_come_later_take_their_places_and_nothing_more_is_bought(
        self, world: World, owner: str
    ) -> None:
        await world.decided()
        bought = {claim.name for claim in world.claims}
        for name in ("web-2", "web-3"):
            self.add_pod(world, owner, name)

        await world.cycles(3)

        view = await world.look()
        assert {claim.name for claim in world.claims} == bought
        assert {pod.nominated for pod in view.pods.values()} <= bought
        assert view.expected == {}

    async def test_a_deployment_that_was_scaled_is_planned_for_before_its_replica_set_knows(
        self, world: World, owner: str
    ) -> None:
        """Its controller comes to it after others; meanwhile kube-scheduler has refused a pod of one of them."""
        if owner != "web":
            world.kube.drop(REPLICASETS, owner, "shop")
        container = {"name": "main", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
        template = {"metadata": {"labels": {}}, "spec": {"containers": [container]}}
        metadata = {"name": "api", "namespace": "shop", "uid": "uid-api", "resourceVersion": "1"}
        deployment = {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 4, "template": template}}
        world.kube.put(DEPLOYMENTS, deployment)

        await world.decided()

        planned = [uid for claim in world.claims for uid in planned_on(claim)]
        assert sum(unmade(uid) == ("shop", "Deployment/api") for uid in planned) == 4

    async def test_also_after_a_restart(self, world: World, owner: str) -> None:
        await world.decided()
        bought = {claim.name for claim in world.claims}
        for name in ("web-2", "web-3"):
            self.add_pod(world, owner, name)
        world.restart()

        await world.cycles(3)

        assert {claim.name for claim in world.claims} == bought

    async def test_whom_a_quota_stops_nothing_is_bought_for(self, world: World, owner: str) -> None:
        world.kube.drop(REPLICASETS, owner, "shop")
        self.declare(world, owner, conditions=[{"type": "ReplicaFailure", "status": "True"}])

        await world.decided()

        assert [planned_on(claim) for claim in world.claims] == [[world.pod("web-1")["metadata"]["uid"]]]


def planned_on(claim: Any) -> list[str]:
    return str((claim.metadata.annotations or {}).get("spotkube.io/planned-pods", "")).split(",")
