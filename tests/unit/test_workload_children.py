"""What is made for a Workload: the user's template, plus what keeps the Workload's promises without us."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from spotkube.controllers.workloads import desired_budget, desired_child
from spotkube.controllers.workloads.children import NOT_ON_SPOT, MalformedTemplateError
from spotkube.model import labels as keys
from unit.workload_builders import make_job, make_target, make_target_ref, make_template, make_workload

Object = dict[str, Any]
GATE = {"name": "spotkube.io/placement"}
ZONE_A = {"key": keys.ZONE, "operator": "In", "values": ["us-east-1a"]}
ARM = {"key": keys.ARCH, "operator": "In", "values": ["arm64"]}


def child_of(**spec: Any) -> Object:
    child = desired_child(make_workload(**spec))
    assert child is not None
    return child


def pod_spec_of(template: Object, **spec: Any) -> Object:
    pod_spec: Object = child_of(deployment={"template": template}, **spec)["spec"]["template"]["spec"]
    return pod_spec


def required_of(pod_spec: Object) -> Object:
    required: Object = pod_spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return required


class TestIdentity:
    @pytest.mark.parametrize(
        ("spec", "kind", "api_version"),
        [
            ({"deployment": {"template": make_template()}}, "Deployment", "apps/v1"),
            ({"statefulSet": {"template": make_template()}}, "StatefulSet", "apps/v1"),
            ({"job": {"template": make_template("Never")}}, "Job", "batch/v1"),
        ],
    )
    def test_a_child_has_its_workloads_name_and_goes_with_it(self, spec: Object, kind: str, api_version: str) -> None:
        child = child_of(**spec)

        assert (child["kind"], child["apiVersion"]) == (kind, api_version)
        assert child["metadata"]["name"] == "web"
        assert child["metadata"]["namespace"] == "shop"
        assert child["metadata"]["labels"] == {"spotkube.io/workload": "web"}
        assert child["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "spotkube.io/v1alpha1",
                "kind": "Workload",
                "name": "web",
                "uid": "uid-web",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        assert child["spec"]["template"]["metadata"]["labels"] == {"spotkube.io/workload": "web"}

    def test_a_target_gets_no_child(self) -> None:
        assert desired_child(make_workload(targetRef=make_target_ref())) is None

    def test_services_select_by_the_workloads_label(self) -> None:
        for spec in ({"deployment": {"template": make_template()}}, {"statefulSet": {"template": make_template()}}):
            assert child_of(**spec)["spec"]["selector"] == {"matchLabels": {"spotkube.io/workload": "web"}}

    def test_the_digest_changes_with_what_is_made_and_only_then(self) -> None:
        def digest(workload_replicas: int, generation: int = 1) -> str:
            workload = make_workload(
                deployment={"replicas": workload_replicas, "template": make_template()}, generation=generation
            )
            child = desired_child(workload)
            assert child is not None
            return str(child["metadata"]["annotations"]["spotkube.io/applied"])

        assert digest(2) == digest(2, generation=9)
        assert digest(2) != digest(3)

    def test_the_digest_of_a_job_counts_only_what_a_workload_may_change_and_a_job_may_not(self) -> None:
        def digest(**spec: Any) -> str:
            child = desired_child(make_job(**spec))
            assert child is not None
            return str(child["metadata"]["annotations"]["spotkube.io/applied"])

        assert digest() == digest(job={"parallelism": 4, "backoffLimit": 1})
        assert len({digest(), digest(spot={"never": True}), digest(placement="Scheduler")}) == 3


class TestTemplate:
    def test_all_that_the_user_wrote_stays(self) -> None:
        template = {
            "metadata": {"labels": {"app": "web", "tier": "front"}, "annotations": {"prometheus.io/scrape": "true"}},
            "spec": {
                "initContainers": [{"name": "migrate", "image": "m", "restartPolicy": "Always"}],
                "containers": [{"name": "main", "image": "i", "resources": {"requests": {"cpu": "0.5"}}}],
                "tolerations": [{"operator": "Exists"}],
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": keys.ZONE}],
                "unknownToUs": {"a": [1, 2]},
            },
        }
        given = copy.deepcopy(template)

        made = child_of(deployment={"template": template})["spec"]["template"]

        assert made["spec"] == given["spec"]
        assert made["metadata"]["annotations"] == given["metadata"]["annotations"]
        assert made["metadata"]["labels"] == {"app": "web", "tier": "front", "spotkube.io/workload": "web"}
        assert template == given, "the Workload itself must not change"

    @pytest.mark.parametrize(
        ("template", "names"),
        [
            ({"metadata": {"labels": {"spotkube.io/workload": "other"}}}, "spotkube.io/workload"),
            ({"metadata": {"annotations": {"spotkube.io/workload": "web"}}}, "spotkube.io/workload"),
            ({"metadata": {"annotations": {"spotkube.io/held-by-queue": "true"}}}, "spotkube.io/held-by-queue"),
            ({"metadata": {"labels": {"spotkube.io/b": "", "spotkube.io/a": ""}}}, "spotkube.io/a, spotkube.io/b"),
            (make_template(schedulingGates=[{"name": "spotkube.io/later"}]), "spotkube.io/later"),
        ],
    )
    def test_nobody_can_pose_as_another_workload_or_write_what_is_ours(self, template: Object, names: str) -> None:
        for spec in (
            {"deployment": {"template": make_template() | template}},
            {"statefulSet": {"template": make_template() | template}},
            {"job": {"template": make_template("Never") | _with_policy(template)}},
        ):
            with pytest.raises(MalformedTemplateError, match=f"has {names}, which SpotKube alone sets: leave it out"):
                desired_child(make_workload(**spec))

    def test_what_people_may_set_stays_and_so_does_our_own_label(self) -> None:
        mine = {"spotkube.io/do-not-disrupt": "true", "example.spotkube.io/a": "b", "run-seconds": "5"}
        labels = {"spotkube.io/workload": "web", "spotkube.io/queue-name": "batch"}
        gates = [{"name": "spotkube.io/placement"}, {"name": "example.com/mine"}]
        template = make_template(schedulingGates=gates) | {"metadata": {"labels": labels, "annotations": mine}}

        made = child_of(deployment={"template": template})["spec"]["template"]

        assert made["metadata"] == {"labels": labels, "annotations": mine}
        assert made["spec"]["schedulingGates"] == gates

    @pytest.mark.parametrize(
        "broken",
        [
            make_template() | {"metadata": {"labels": ["a"]}},
            make_template(affinity="anti"),
            make_template(affinity={"nodeAffinity": []}),
            make_template(schedulingGates=["mine"]),
            make_template(schedulingGates=7),
        ],
    )
    def test_a_value_of_a_wrong_type_is_told(self, broken: Object) -> None:
        workload = make_workload(deployment={"template": broken}, spot={"never": True}, placement="Pinned")

        with pytest.raises(MalformedTemplateError, match="kubectl explain pod"):
            desired_child(workload)


def _with_policy(template: Object) -> Object:
    """As a Job's template, whose pods must be able to end."""
    return template | ({"spec": {**template["spec"], "restartPolicy": "Never"}} if "spec" in template else {})


class TestQueue:
    def test_what_its_queue_wants_to_know_is_on_the_job(self) -> None:
        child = desired_child(make_job(queueName="batch", minParallelism=1, expectedRunTime="1h30m"))

        assert child is not None
        annotations = child["metadata"]["annotations"]
        assert annotations[keys.MIN_PARALLELISM] == "1"
        assert annotations[keys.EXPECTED_RUN_TIME] == "10800s", "four pods of that length, two at a time"


class TestPlacement:
    def test_pods_of_a_job_are_born_gated(self) -> None:
        child = desired_child(make_job())

        assert child is not None
        assert child["spec"]["template"]["spec"]["schedulingGates"] == [GATE]

    def test_pods_of_services_are_not_unless_asked_for(self) -> None:
        assert "schedulingGates" not in pod_spec_of(make_template())
        assert pod_spec_of(make_template(), placement="Pinned")["schedulingGates"] == [GATE]

    def test_nor_those_of_a_scheduler_that_may_not_go_by_nominations(self) -> None:
        asked = make_template(schedulerName="mine")

        assert "schedulingGates" not in pod_spec_of(asked, placement="Pinned")
        assert pod_spec_of(make_template(schedulerName="default-scheduler"), placement="Pinned")["schedulingGates"] == [
            GATE
        ]

    def test_a_job_may_be_the_schedulers(self) -> None:
        child = desired_child(make_job(placement="Scheduler"))

        assert child is not None
        assert "schedulingGates" not in child["spec"]["template"]["spec"]

    def test_gates_of_others_stay_and_ours_stands_once(self) -> None:
        mine = {"name": "example.com/quota"}

        assert pod_spec_of(make_template(schedulingGates=[mine]), placement="Pinned")["schedulingGates"] == [mine, GATE]
        assert pod_spec_of(make_template(schedulingGates=[GATE]), placement="Pinned")["schedulingGates"] == [GATE]


class TestNeverOnSpot:
    def test_spot_that_is_allowed_leaves_affinity_alone(self) -> None:
        for spot in ({}, {"spotFraction": 0.0}, {"onDemandBase": 5}, {"never": False}):
            assert "affinity" not in pod_spec_of(make_template(), spot=spot)

    def test_without_affinity_one_term_says_it(self) -> None:
        for template in (make_template(), make_template(affinity=None), make_template(affinity={"nodeAffinity": {}})):
            pod_spec = pod_spec_of(template, spot={"never": True})
            assert required_of(pod_spec) == {"nodeSelectorTerms": [{"matchExpressions": [NOT_ON_SPOT]}]}

    def test_each_of_the_ored_terms_says_it(self) -> None:
        fields = [{"key": "metadata.name", "operator": "In", "values": ["node-7"]}]
        terms = [{"matchExpressions": [ZONE_A, ARM]}, {"matchFields": fields}]
        template = make_template(
            affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
        )

        assert required_of(pod_spec_of(template, spot={"never": True}))["nodeSelectorTerms"] == [
            {"matchExpressions": [ZONE_A, ARM, NOT_ON_SPOT]},
            {"matchFields": fields, "matchExpressions": [NOT_ON_SPOT]},
        ]

    def test_a_term_that_matches_nothing_still_matches_nothing(self) -> None:
        terms: list[Object] = [{}, {"matchExpressions": []}, {"matchExpressions": [ZONE_A]}]
        template = make_template(
            affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
        )

        assert required_of(pod_spec_of(template, spot={"never": True}))["nodeSelectorTerms"] == [
            {},
            {"matchExpressions": []},
            {"matchExpressions": [ZONE_A, NOT_ON_SPOT]},
        ]

    def test_what_says_it_already_is_not_told_twice(self) -> None:
        terms = [{"matchExpressions": [NOT_ON_SPOT]}]
        template = make_template(
            affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
        )

        assert required_of(pod_spec_of(template, spot={"never": True}))["nodeSelectorTerms"] == terms

    def test_other_affinities_stay(self) -> None:
        preferred = [{"weight": 1, "preference": {"matchExpressions": [ZONE_A]}}]
        pod_anti_affinity = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": keys.HOSTNAME}]}
        affinity = {
            "podAntiAffinity": pod_anti_affinity,
            "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred},
        }

        made = pod_spec_of(make_template(affinity=affinity), spot={"never": True})["affinity"]

        assert made["podAntiAffinity"] == pod_anti_affinity
        assert made["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] == preferred


class TestKinds:
    def test_a_job_bears_interruptions_without_counting_them(self) -> None:
        child = desired_child(make_job(job={"backoffLimit": 2}))

        assert child is not None
        spec = child["spec"]
        assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (4, 2, 2)
        assert spec["podFailurePolicy"] == {
            "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        }
        assert spec["template"]["spec"]["restartPolicy"] == "Never"
        assert "managedBy" not in spec
        assert "selector" not in spec, "the API server gives a Job its own"

    def test_a_job_that_restarts_containers_can_have_no_failure_policy(self) -> None:
        child = desired_child(make_job(restart_policy="OnFailure"))

        assert child is not None
        assert "podFailurePolicy" not in child["spec"]

    def test_a_stateful_set_has_its_service_and_volumes(self) -> None:
        volume = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
        spec = child_of(
            statefulSet={
                "replicas": 3,
                "serviceName": "db",
                "podManagementPolicy": "Parallel",
                "volumeClaimTemplates": [volume],
                "template": make_template(),
            }
        )["spec"]

        assert spec["replicas"] == 3
        assert spec["serviceName"] == "db"
        assert spec["podManagementPolicy"] == "Parallel"
        assert spec["volumeClaimTemplates"] == [volume]

    def test_what_a_stateful_set_leaves_out_is_left_out(self) -> None:
        spec = child_of(statefulSet={"template": make_template()})["spec"]

        assert not {"serviceName", "volumeClaimTemplates"} & spec.keys()


class TestBudget:
    def test_none_is_made_unless_asked_for(self) -> None:
        assert desired_budget(make_workload()) is None

    @pytest.mark.parametrize("min_available", [2, 0, "50%"])
    def test_it_covers_the_workloads_pods_and_goes_with_it(self, min_available: int | str) -> None:
        budget = desired_budget(make_workload(minAvailable=min_available))

        assert budget is not None
        assert budget["spec"] == {
            "minAvailable": min_available,
            "selector": {"matchLabels": {"spotkube.io/workload": "web"}},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
        assert budget["metadata"]["ownerReferences"][0]["uid"] == "uid-web"

    def test_for_a_target_it_selects_as_the_target_does(self) -> None:
        workload = make_workload(targetRef=make_target_ref("api"), minAvailable=1)

        budget = desired_budget(workload, make_target("api").selector)

        assert budget is not None
        assert budget["spec"]["selector"] == {"matchLabels": {"app": "api"}}

    def test_a_target_that_is_not_there_has_none(self) -> None:
        assert desired_budget(make_workload(targetRef=make_target_ref(), minAvailable=1)) is None
