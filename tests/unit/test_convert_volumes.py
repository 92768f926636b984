"""What a pod's claims mean for where it may run, as kube-scheduler takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import make_pod
from spotkube.convert.binding import with_volumes
from spotkube.convert.joining import JoinedVolumes
from spotkube.convert.matching import Wanting, serves, share_out
from spotkube.convert.storage import (
    to_claim_uses,
    to_storage_class,
    to_volume,
    to_volume_claim,
    to_volume_limits,
)
from spotkube.model import labels as keys
from spotkube.model.pods import Pod, PodShape
from spotkube.model.selectors import matches_all
from spotkube.model.volumes import ClaimUse, Storage, StorageClass, Volume, VolumeClaim

GI = 1024**3
EBS = "ebs.csi.aws.com"


def claim(name: str = "data", **spec: Any) -> VolumeClaim:
    status, metadata = spec.pop("status", {}), spec.pop("metadata", {})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return to_volume_claim(
        {"metadata": {"name": name, "namespace": "default", **metadata}, "spec": spec, "status": status}
    )


def volume(
    name: str = "pv", zone: str = "", size: str = "1Gi", labels: dict[str, str] | None = None, **spec: Any
) -> Volume:
    affinity = {}
    if zone:
        expression = {"key": keys.ZONE, "operator": "In", "values": [zone]}
        affinity = {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}}
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], **affinity, **spec}
    return to_volume({"metadata": {"name": name, "labels": labels or {}}, "spec": spec})


def storage_class(
    name: str = "fast", provisioner: str = EBS, mode: str = "WaitForFirstConsumer", **more: Any
) -> StorageClass:
    metadata = {"name": name, "annotations": more.pop("annotations", {})}
    return to_storage_class({"metadata": metadata, "provisioner": provisioner, "volumeBindingMode": mode, **more})


def storage(*objects: VolumeClaim | Volume | StorageClass, settles: bool = False) -> Storage:
    return Storage(
        {one.key: one for one in objects if isinstance(one, VolumeClaim)},
        {one.name: one for one in objects if isinstance(one, Volume)},
        {one.name: one for one in objects if isinstance(one, StorageClass)},
        settles,
    )


def using(*names: str, node: str | None = None, **fields: Any) -> Pod:
    return replace(make_pod(node=node, **fields), claims=tuple(ClaimUse(name) for name in names or ("data",)))


def shape_of(pod: Pod, *objects: VolumeClaim | Volume | StorageClass, settles: bool = False) -> PodShape:
    (found,) = with_volumes([pod], storage(*objects, settles=settles))
    return found.shape


def zones(shape: PodShape, among: str = "abc") -> str:
    """The zones in which nodes reach all volumes; "-" is a node that has no label of a zone."""
    nodes = {zone: {keys.ZONE: zone} for zone in among} | {"-": {}}
    return "".join(
        zone
        for zone, labels in nodes.items()
        if all(any(matches_all(term, labels) for term in terms) for terms in shape.volume_terms)
    )


class TestRefused:
    @pytest.mark.parametrize(
        ("objects", "why"),
        [
            ([], "PersistentVolumeClaim default/data does not exist: create it"),
            ([claim(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})], "is being deleted"),
            ([claim(volumeName="pv", status={"phase": "Lost"})], "has lost its PersistentVolume 'pv'"),
            ([claim(volumeName="pv")], "bound to PersistentVolume 'pv', which does not exist"),
            ([claim(storageClassName="fast"), storage_class(mode="Immediate")], "does not wait for the pod"),
            ([claim(storageClassName="fast")], "its StorageClass 'fast' does not wait for the pod"),
            ([claim()], "having no StorageClass, it does not wait for the pod"),
            (
                [claim(storageClassName="fast"), storage_class(provisioner="kubernetes.io/no-provisioner")],
                "finds no free PersistentVolume of StorageClass 'fast'",
            ),
        ],
    )
    def test_what_keeps_a_pod_off_every_node(self, objects: list[Any], why: str) -> None:
        assert why in shape_of(using(), *objects).refused

    def test_a_pod_without_claims_is_as_it_was(self) -> None:
        pod = make_pod()
        assert with_volumes([pod], storage()) == [pod]


class TestBound:
    def bound(self, *volumes: Volume) -> PodShape:
        claims = [claim(v.name, volumeName=v.name) for v in volumes]
        return shape_of(using(*(v.name for v in volumes)), *claims, *volumes)

    def test_the_affinity_of_the_volume_is_the_pods(self) -> None:
        assert zones(self.bound(volume(zone="b"))) == "b"

    def test_its_terms_are_ored_and_volumes_are_anded(self) -> None:
        terms = [{"matchExpressions": [{"key": keys.ZONE, "operator": "In", "values": [zone]}]} for zone in ("a", "b")]
        wide = volume("wide", nodeAffinity={"required": {"nodeSelectorTerms": terms}})
        assert zones(self.bound(wide)) == "ab"
        assert zones(self.bound(wide, volume("narrow", zone="b"))) == "b"
        assert zones(self.bound(wide, volume("other", zone="c"))) == ""

    def test_a_volume_without_affinity_is_reached_from_anywhere(self) -> None:
        assert zones(self.bound(volume())) == "abc-"

    def test_the_labels_of_older_volumes(self) -> None:
        """As VolumeZone reads them: a node without any label of a zone is taken to be in every one."""
        assert zones(self.bound(volume(labels={keys.ZONE: "a"}))) == "a-"
        beta = "failure-domain.beta.kubernetes.io/zone"
        assert zones(self.bound(volume(labels={beta: "a__c"}))) == "ac-"
        both = {keys.ZONE: "a", keys.REGION: "r"}
        (first, second) = self.bound(volume(labels=both)).volume_terms
        node = {keys.ZONE: "a", keys.REGION: "other"}
        assert [any(matches_all(term, node) for term in terms) for terms in (first, second)] == [False, True]

    def test_a_volume_of_a_driver_is_attached(self) -> None:
        shape = self.bound(volume(csi={"driver": EBS, "volumeHandle": "vol-1"}))
        assert dict(shape.attachments) == {f"attachable-volumes-csi-{EBS}": 1}

    def test_an_in_tree_volume_that_became_a_drivers(self) -> None:
        assert dict(self.bound(volume(awsElasticBlockStore={"volumeID": "vol-1"})).attachments) == {
            f"attachable-volumes-csi-{EBS}": 1
        }

    def test_what_no_driver_counts_is_not_attached(self) -> None:
        assert not self.bound(volume(nfs={"server": "s", "path": "/"})).attachments


class TestToBeMade:
    def test_where_the_class_makes_volumes(self) -> None:
        term = {"matchLabelExpressions": [{"key": keys.ZONE, "values": ["a", "c"]}]}
        narrow = storage_class(allowedTopologies=[term])
        shape = shape_of(using(), claim(storageClassName="fast"), narrow)
        assert zones(shape) == "ac"
        assert dict(shape.attachments) == {f"attachable-volumes-csi-{EBS}": 1}

    def test_anywhere_if_the_class_does_not_say(self) -> None:
        assert zones(shape_of(using(), claim(storageClassName="fast"), storage_class())) == "abc-"

    def test_a_topology_without_expressions_is_nowhere(self) -> None:
        nowhere = storage_class(allowedTopologies=[{}])
        assert zones(shape_of(using(), claim(storageClassName="fast"), nowhere)) == ""

    def test_a_volume_that_is_being_made_for_a_node_ties_the_pod_to_it(self) -> None:
        annotations = {"volume.kubernetes.io/selected-node": "n1"}
        making = claim(storageClassName="fast", metadata={"annotations": annotations})
        ((term,),) = shape_of(using(), making, storage_class()).volume_terms
        assert [matches_all(term, {"metadata.name": name}) for name in ("n1", "n2")] == [True, False]


class TestWaitingForAVolume:
    LOCAL = storage_class("local", "kubernetes.io/no-provisioner")

    def places(self, pods: list[Pod], *volumes: Volume) -> list[str]:
        claims = [claim(name, storageClassName="local") for name in {use.name for p in pods for use in p.claims}]
        found = with_volumes(pods, storage(self.LOCAL, *claims, *volumes))
        return ["refused" if pod.shape.refused else zones(pod.shape) for pod in found]

    def local(self, name: str, zone: str, **more: Any) -> Volume:
        return volume(name, zone, storageClassName="local", **more)

    def test_wherever_one_is_free(self) -> None:
        assert self.places([using()], self.local("pv-1", "a"), self.local("pv-2", "c")) == ["ac"]

    def test_one_that_is_taken_deleted_or_too_small_does_not_count(self) -> None:
        taken = self.local("pv-1", "a", claimRef={"namespace": "default", "name": "other"})
        small = self.local("pv-2", "b", size="1Mi")
        gone = replace(self.local("pv-3", "c"), deleting=True)
        assert self.places([using()], taken, small, gone) == ["refused"]

    def test_one_that_is_meant_for_the_claim_counts(self) -> None:
        mine = self.local("pv-1", "b", claimRef={"namespace": "default", "name": "data"})
        assert self.places([using()], replace(mine, available=False)) == ["b"]

    def test_places_with_volumes_enough_are_open_to_all(self) -> None:
        pods = [using("one"), using("two")]
        volumes = [self.local(f"pv-{zone}{i}", zone) for zone in "ab" for i in range(2)]
        assert self.places(pods, *volumes) == ["ab", "ab"]

    def test_no_volume_is_promised_twice(self) -> None:
        pods = [using("one"), using("two"), using("three")]
        assert self.places(pods, self.local("pv-1", "a"), self.local("pv-2", "b")) == ["a", "refused", "b"]

    def test_who_can_go_nowhere_else_comes_first(self) -> None:
        pods = [using("one"), using("two", node_selector={keys.ZONE: "a"})]
        assert self.places(pods, self.local("pv-1", "a"), self.local("pv-2", "b")) == ["b", "a"]

    def test_two_claims_of_one_pod_need_two_volumes(self) -> None:
        assert self.places([using("one", "two")], self.local("pv-1", "a")) == ["refused"]
        assert self.places([using("one", "two")], self.local("pv-1", "a"), self.local("pv-2", "a")) == ["a"]

    def test_pods_of_one_claim_go_where_its_volume_will_be(self) -> None:
        pods = [using(), using()]
        assert self.places(pods, self.local("pv-1", "a"), self.local("pv-2", "b")) == ["a", "a"]

    @pytest.mark.parametrize(
        ("asked", "has", "fits"),
        [
            ({}, {}, True),
            ({"volumeMode": "Block"}, {}, False),
            ({"accessModes": ["ReadWriteMany"]}, {}, False),
            ({"selector": {"matchLabels": {"tier": "gold"}}}, {"labels": {"tier": "gold"}}, True),
            ({"selector": {"matchLabels": {"tier": "gold"}}}, {}, False),
            ({"volumeAttributesClassName": "quick"}, {}, False),
            ({"storageClassName": "other"}, {}, False),
        ],
    )
    def test_which_volume_serves(self, asked: dict[str, Any], has: dict[str, Any], fits: bool) -> None:
        wants = claim(**{"storageClassName": "local", **asked})
        assert serves(self.local("pv", "a", **has), wants, wants.storage_class or "") is fits

    def test_what_is_shared_out_is_surely_enough(self) -> None:
        """Whoever comes first takes the smallest volume that serves: still nobody who was promised one goes without."""
        sizes = {"one": "1Gi", "two": "2Gi", "three": "1Gi"}
        volumes = [self.local("pv-small", "a", size="1Gi"), self.local("pv-large", "a", size="2Gi")]
        waiting = []
        for name, size in sizes.items():
            wants = claim(name, storageClassName="local", resources={"requests": {"storage": size}})
            waiting.append(Wanting(wants, [v for v in volumes if serves(v, wants, "local")]))
        assert sorted(name for _, name in share_out(waiting)) == ["one", "two"]


class TestReadWriteOncePod:
    ONE = claim(storageClassName="fast", accessModes=["ReadWriteOncePod"])

    def refusals(self, *pods: Pod) -> list[str]:
        return [pod.shape.refused for pod in with_volumes(pods, storage(self.ONE, storage_class()))]

    def test_in_use_by_a_pod_that_runs(self) -> None:
        _, why = self.refusals(using(node="n1", name="first"), using())
        assert why == "PersistentVolumeClaim default/data is ReadWriteOncePod and used by pod default/first"

    def test_of_two_that_wait_one_is_planned(self) -> None:
        assert [bool(why) for why in self.refusals(using(name="b"), using(name="a"))] == [True, False]

    def test_its_user_is_not_refused_its_own(self) -> None:
        assert self.refusals(using(node="n1")) == [""]

    def test_a_user_that_ends_makes_way(self) -> None:
        assert self.refusals(using(node="n1", deleting=True), using()) == ["", ""]


class TestShared:
    def test_a_volume_of_several_pods_is_in_nobodys_attachments(self) -> None:
        pv = volume(csi={"driver": EBS, "volumeHandle": "vol-1"})
        pods = with_volumes([using(), using()], storage(claim(volumeName="pv"), pv))
        assert [pod.volumes for pod in pods] == [((EBS, "vol-1"),)] * 2
        assert not any(pod.shape.attachments for pod in pods)

    def test_of_a_claim_that_is_still_to_be_bound_the_pods_must_come_together(self) -> None:
        wants = claim(storageClassName="fast")
        pods = with_volumes([using(), using()], storage(wants, storage_class()))
        assert [pod.unbound for pod in pods] == [(("default", "data"),)] * 2
        (alone,) = with_volumes([using()], storage(wants, storage_class()))
        assert alone.unbound == ()

    def test_what_many_nodes_may_use_is_everywhere_if_its_class_is_not_known(self) -> None:
        for modes, together in ((["ReadWriteMany"], ()), (["ReadWriteOnce"], (("default", "data"),))):
            (pod, _) = with_volumes([using(), using()], storage(claim(accessModes=modes), settles=True))
            assert pod.unbound == together

    def test_pods_with_volumes_of_their_own_are_still_alike(self) -> None:
        claims = [claim(name, storageClassName="fast") for name in ("one", "two")]
        one, two = with_volumes([using("one"), using("two")], storage(storage_class(), *claims))
        assert one.shape == two.shape
        assert one.volumes != two.volumes


class TestManifestsNobodyHasApplied:
    def test_without_any_class_volumes_are_made_anywhere(self) -> None:
        assert zones(shape_of(using(), claim(storageClassName="gp3"), settles=True)) == "abc-"
        assert zones(shape_of(using(), claim(), settles=True)) == "abc-"

    def test_a_claim_finds_the_volume_that_stands_beside_it(self) -> None:
        """The manual StorageClass of many tutorials: no class of the name, and one volume."""
        pair = (claim(storageClassName="manual"), volume(zone="b", storageClassName="manual"))
        assert zones(shape_of(using(), *pair, settles=True)) == "b"

    def test_two_claims_do_not_find_the_same_volume(self) -> None:
        claims = [claim(name, storageClassName="") for name in ("one", "two")]
        found = with_volumes([using("one"), using("two")], storage(*claims, volume(zone="a"), settles=True))
        assert [bool(pod.shape.refused) for pod in found] == [False, True]

    def test_the_default_class(self) -> None:
        default = storage_class(annotations={"storageclass.kubernetes.io/is-default-class": "true"})
        assert not shape_of(using(), claim(), default, settles=True).refused
        assert "having no StorageClass" in shape_of(using(), claim(), storage_class(), settles=True).refused


class TestClaimsOfPods:
    def test_of_each_kind_of_volume(self) -> None:
        template = {"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}}
        volumes = [
            {"name": "a", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "b", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "c", "ephemeral": {"volumeClaimTemplate": template}},
            {"name": "d", "emptyDir": {}},
            {"name": "e", "csi": {"driver": "secrets"}},
        ]
        data, scratch = to_claim_uses("default", "web-1", {"volumes": volumes})
        assert (data.name, data.template, data.ephemeral) == ("data", None, False)
        assert (scratch.name, scratch.ephemeral) == ("web-1-c", True)
        assert scratch.template is not None
        assert (scratch.template.storage_class, scratch.template.storage_bytes) == ("fast", 2 * GI)

    def test_of_a_stateful_set(self) -> None:
        templates = [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}]
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "replaced"}}]
        (use,) = to_claim_uses("default", "db-0", {"volumes": volumes}, templates)
        assert use.name == "data-db-0"

    def test_an_ephemeral_volume_is_the_pods_own(self) -> None:
        template = VolumeClaim("default", "web-1-c", storage_class="fast")
        pod = replace(make_pod("web-1"), claims=(ClaimUse("web-1-c", template, ephemeral=True),))
        assert not shape_of(pod, storage_class()).refused
        assert not shape_of(pod, storage_class(), replace(template, owner=pod.uid)).refused
        assert "was not made for" in shape_of(pod, storage_class(), replace(template, owner="other")).refused


def test_limits_of_a_csi_node() -> None:
    drivers = [{"name": "b", "allocatable": {"count": 3}}, {"name": "a", "allocatable": {"count": 0}}, {"name": "c"}]
    assert to_volume_limits({"metadata": {"name": "n1"}, "spec": {"drivers": drivers}}) == ("n1", (("a", 0), ("b", 3)))


class TestJoined:
    """What was joined is kept from cycle to cycle as far as nothing differs."""

    def test_pods_are_the_same_objects_while_nothing_changes(self) -> None:
        joined, plain = JoinedVolumes(), make_pod("plain")
        users = [using("one", name="a"), using("two", name="b")]
        kept = storage(*(claim(name, volumeName=name) for name in ("one", "two")), volume("one"), volume("two"))

        first = joined.of_all([plain, *users], kept)
        again = joined.of_all([*users, plain], kept)

        assert first == with_volumes([plain, *users], kept)
        assert all(old is new for old, new in zip(first, [again[2], *again[:2]], strict=True))

    def test_a_change_makes_anew_only_whom_it_concerns(self) -> None:
        joined, users = JoinedVolumes(), [using("one", name="a"), using("two", name="b")]
        claims, one = [claim(name, volumeName=name) for name in ("one", "two")], volume("one")
        first = joined.of_all(users, storage(*claims, one, volume("two", zone="a")))

        moved = storage(*claims, one, volume("two", zone="b"))
        then = joined.of_all(users, moved)

        assert then == with_volumes(users, moved)
        assert then[0] is first[0]
        assert zones(then[1].shape) == "b"

    def test_pods_come_and_go(self) -> None:
        joined, kept = JoinedVolumes(), storage(claim("one", volumeName="pv"), volume())
        pod = using("one", name="a")
        joined.of_all([pod], kept)
        bound = replace(pod, node="n1")

        assert joined.of_all([bound], kept) == with_volumes([bound], kept)
        assert joined.of_all([], kept) == []
        assert joined.of_all([bound], kept) == with_volumes([bound], kept)
