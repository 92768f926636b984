"""The fair queue is enforced: what a tenant with the rights of Kubernetes' own role edit can do to Jobs and pods of a
queue, and what is refused, on a real API server with the chart's policies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import KubectlError
from spotkube.controllers.queues.gates import lift
from spotkube.controllers.workloads.ending import ended
from spotkube.convert.pods import to_pod
from spotkube.model import labels as keys
from spotkube.model.pods import Pod
from support import wait_until
from support_chart import CHART, RELEASE, SERVICE_ACCOUNT, Manifest, do_as_documented, helm

Kubectl = Callable[..., str]
OPERATOR_NAMESPACE = "queue-policy"
KUEUES = "kueue.x-k8s.io/queue-name"
HELD = {keys.HELD_BY_QUEUE: "true"}
OURS = {"name": keys.PLACEMENT_GATE}
OTHERS = {"name": "example.com/mine"}
QUEUE = {"name": keys.QUEUE_GATE}


@dataclass(frozen=True)
class Person:
    """Somebody with rights of their own in one namespace (the cluster's administrator if there is no name); each method
    is a request to the API server."""

    kubectl: Kubectl
    username: str
    namespace: str

    def run(self, *args: str, body: Manifest | None = None) -> str:
        """Raises KubectlError if the API server refuses."""
        text = None if body is None else json.dumps(body)
        who = [f"--as={self.username}"] if self.username else []
        return self.kubectl(*args, "-n", self.namespace, *who, input=text)

    def create(self, body: Manifest, *options: str) -> Manifest:
        made: Manifest = json.loads(self.run("create", "-f", "-", "-o", "json", *options, body=body))
        return made

    def patch(self, what: str, patch: Any, *options: str, kind: str = "merge") -> None:
        self.run("patch", what, f"--type={kind}", "-p", json.dumps(patch), *options)

    def get(self, what: str) -> Manifest:
        found: Manifest = json.loads(self.run("get", what, "-o", "json"))
        return found

    def refused(self, what: str, patch: Any, *options: str, kind: str = "merge") -> str:
        """Patches and returns why that is forbidden."""
        with pytest.raises(KubectlError, match="denied request") as refusal:
            self.patch(what, patch, *options, kind=kind)
        return str(refusal.value)

    def refused_creation(self, body: Manifest) -> str:
        with pytest.raises(KubectlError, match="denied request") as refusal:
            self.create(body)
        return str(refusal.value)

    def as_another(self, username: str) -> Person:
        return Person(self.kubectl, username, self.namespace)


@pytest.fixture(scope="module")
def policies(cluster: Cluster) -> Iterator[None]:
    """The chart with its policies and without operators of its own."""
    cluster.kubectl("create", "namespace", OPERATOR_NAMESPACE)
    helm(cluster, "install", RELEASE, str(CHART), "--namespace", OPERATOR_NAMESPACE, "--set", "replicas=0")
    try:
        admin = Person(cluster.kubectl, "", OPERATOR_NAMESPACE)
        wait_until(lambda: are_at_work(admin), 60, "the policies to be at work")
        yield
    finally:
        helm(cluster, "uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found")
        cluster.kubectl("delete", "namespace", OPERATOR_NAMESPACE, "--wait=false")


@pytest.fixture
def tenant(kubectl: Kubectl, namespace: str, policies: None) -> Person:
    kubectl("create", "serviceaccount", "tenant", "-n", namespace)
    account = f"--serviceaccount={namespace}:tenant"
    kubectl("create", "rolebinding", "tenant", "-n", namespace, "--clusterrole=edit", account)
    tenant = Person(kubectl, f"system:serviceaccount:{namespace}:tenant", namespace)
    wait_until(lambda: "default" in tenant.kubectl("get", "serviceaccounts", "-n", namespace, "-o", "name"))
    wait_until(lambda: may_create_jobs(tenant), message="the tenant's rights")
    wait_until(lambda: born(tenant, pod(labels={keys.QUEUE_NAME: "a"})), message="the policy for pods to be at work")
    return tenant


@pytest.fixture
def operator(tenant: Person) -> Person:
    return tenant.as_another(f"system:serviceaccount:{OPERATOR_NAMESPACE}:{SERVICE_ACCOUNT}")


def are_at_work(admin: Person) -> bool:
    """The API server takes a moment to notice each policy; what none of them lets pass is refused by each in turn."""
    dry = "--dry-run=server"
    if made_suspended(admin) is not True:
        return False
    if not admin.run("get", "jobs", "-o", "name"):
        admin.create(job("probe"))
    return not any(
        is_accepted(admin, "job/probe", patch, dry)
        for patch in (RESUME, {"metadata": {"labels": {keys.WORKLOAD: "a"}}})
    )


def made_suspended(person: Person) -> bool | None:
    """Whether a Job of a queue is; None where it is refused: only one of the policies is noticed yet, or still."""
    try:
        return bool(person.create(job("another"), "--dry-run=server")["spec"].get("suspend"))
    except KubectlError:
        return None


def may_create_jobs(person: Person) -> bool:
    who = ("-n", person.namespace, f"--as={person.username}")
    return person.kubectl("auth", "can-i", "create", "jobs", *who, check=False).startswith("yes")


def is_accepted(person: Person, what: str, patch: Manifest, *options: str) -> bool:
    try:
        person.patch(what, patch, *options)
    except KubectlError:
        return False
    return True


def job(
    name: str = "work",
    *,
    labels: Manifest | None = None,
    annotations: Manifest | None = None,
    template: Manifest | None = None,
    **spec: Any,
) -> Manifest:
    """A Job of queue "a" if no labels are given; `template` is the metadata of its pods."""
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "100m"}}}
    pods = {"metadata": template or {}, "spec": {"containers": [container], "restartPolicy": "Never"}}
    metadata = {"name": name, "labels": {keys.QUEUE_NAME: "a"} if labels is None else labels}
    metadata["annotations"] = annotations or {}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": pods, **spec}}


def pod(name: str = "bare", labels: Manifest | None = None, **spec: Any) -> Manifest:
    container = {"name": "main", "image": "none"}
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def deployment(template: Manifest) -> Manifest:
    labels = {"app": "web", **template}
    spec = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none"}]}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def state(made: Manifest) -> tuple[bool, Manifest]:
    """Whether a Job is suspended, and the annotation that says by whom."""
    annotations = made["metadata"].get("annotations", {})
    return made["spec"]["suspend"], {key: value for key, value in annotations.items() if key == keys.HELD_BY_QUEUE}


SUSPEND = {"spec": {"suspend": True}}
RESUME = {"spec": {"suspend": False}}
# As the operator does it: what says why a Job is suspended goes when it is not.
ADMIT = RESUME | {"metadata": {"annotations": {keys.HELD_BY_QUEUE: None}}}
# Another operator may be at work on this cluster: a Job that nobody let go it would hold.
LET_GO_AT = {keys.ADMITTED_AT: "2026-11-28T12:00:00Z"}
LET_GO = RESUME | {"metadata": {"annotations": {keys.HELD_BY_QUEUE: None, **LET_GO_AT}}}
LET_GO_AS_IT_IS = RESUME | {"metadata": {"annotations": LET_GO_AT}}


def test_a_job_that_names_a_queue_is_held_and_only_the_operator_starts_it(tenant: Person, operator: Person) -> None:
    assert state(tenant.create(job())) == (True, HELD)

    complaint = tenant.refused("job/work", RESUME)
    assert "the Job waits for queue 'a', which alone starts it" in complaint
    assert "delete the Job" in complaint
    assert "waits for queue" in tenant.refused("job/work", ADMIT)

    operator.patch("job/work", LET_GO)
    assert state(tenant.get("job/work")) == (False, {})
    pods = wait_until(lambda: tenant.get("pods")["items"])
    tenant.run("delete", "job", "work", "--wait=false")
    wait_until(lambda: not tenant.get("pods")["items"], message=lambda: pods)


def test_the_operator_may_take_a_job_back(tenant: Person, operator: Person) -> None:
    tenant.create(job())
    operator.patch("job/work", LET_GO)

    operator.patch("job/work", SUSPEND | {"metadata": {"annotations": HELD}})

    assert state(tenant.get("job/work")) == (True, HELD)
    assert "waits for queue" in tenant.refused("job/work", RESUME)


@pytest.mark.parametrize("begun", [True, False])
def test_a_job_that_the_operator_ends_waits_for_no_queue(tenant: Person, operator: Person, begun: bool) -> None:
    """As where another role of its Workload has failed."""
    made = tenant.create(job())
    if begun:
        operator.patch("job/work", LET_GO)

    operator.patch("job/work", ended(made["metadata"]["uid"]))

    assert state(tenant.get("job/work")) == (True, {})


def test_a_process_says_on_its_own_pod_when_it_saved_its_work(tenant: Person, operator: Person) -> None:
    tenant.create(job())
    operator.patch("job/work", LET_GO)
    (made,) = wait_until(lambda: tenant.get("pods")["items"])
    what = f"pod/{made['metadata']['name']}"

    tenant.patch(what, {"metadata": {"annotations": {keys.LAST_CHECKPOINT: "2026-11-28T14:00:00Z"}}})

    assert converted(tenant.get(what)).saved_at == datetime(2026, 11, 28, 14, tzinfo=UTC).timestamp()


def test_what_the_operator_makes_is_as_it_says(tenant: Person, operator: Person) -> None:
    assert state(operator.create(job("admitted"))) == (False, {})
    assert state(operator.create(job("held", annotations=HELD, suspend=True))) == (True, HELD)

    assert "waits for queue" in tenant.refused("job/held", RESUME)


@pytest.mark.parametrize(
    "asked", [{"suspend": False}, {"annotations": HELD}, {"annotations": {keys.HELD_BY_QUEUE: ""}}]
)
def test_nothing_that_a_tenant_writes_keeps_it_from_being_held(tenant: Person, asked: Manifest) -> None:
    assert state(tenant.create(job(**asked))) == (True, HELD)


def test_jobs_that_a_cronjob_makes_are_held(tenant: Person) -> None:
    made = job()
    template = {"metadata": {"labels": made["metadata"]["labels"]}, "spec": made["spec"]}
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": template}
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": spec}
    assert "suspend" not in tenant.create(body)["spec"]["jobTemplate"]["spec"]

    tenant.run("create", "job", "by-hand", "--from=cronjob/nightly")
    controller = tenant.as_another("system:serviceaccount:kube-system:cronjob-controller")

    assert state(tenant.get("job/by-hand")) == (True, HELD)
    assert state(controller.create(job("by-controller"))) == (True, HELD)
    assert keys.APPLIED in controller.refused_creation(job("forged", annotations={keys.APPLIED: "1"}))


@pytest.mark.parametrize("annotations", [{}, HELD], ids=["plain", "with our annotation"])
def test_a_job_that_its_owner_suspends_is_his_until_he_hands_it_to_the_queue(
    tenant: Person, annotations: Manifest
) -> None:
    assert state(tenant.create(job(annotations=annotations, suspend=True))) == (True, {})

    tenant.patch("job/work", RESUME)

    assert state(tenant.get("job/work")) == (True, HELD)
    assert "waits for queue" in tenant.refused("job/work", RESUME)


@pytest.mark.parametrize("admit", [LET_GO, LET_GO_AS_IT_IS], ids=["annotation removed", "annotation left"])
def test_an_owner_may_suspend_a_running_job_and_then_needs_the_queue_again(
    tenant: Person, operator: Person, admit: Manifest
) -> None:
    tenant.create(job())
    operator.patch("job/work", admit)

    tenant.patch("job/work", SUSPEND)
    assert state(tenant.get("job/work")) == (True, {})

    tenant.patch("job/work", {"metadata": {"annotations": HELD}})
    assert state(tenant.get("job/work")) == (True, HELD)
    assert "waits for queue" in tenant.refused("job/work", RESUME)


def test_a_job_that_waits_keeps_queue_and_annotation(tenant: Person) -> None:
    tenant.create(job())

    for queue in ("b", "", None):
        complaint = tenant.refused("job/work", {"metadata": {"labels": {keys.QUEUE_NAME: queue}}})
        assert f"can't be changed from 'a' to '{queue or ''}' while the Job waits" in complaint
        assert "delete the Job and make it anew" in complaint
    for value in ("false", None):
        complaint = tenant.refused("job/work", {"metadata": {"annotations": {keys.HELD_BY_QUEUE: value}}})
        assert f"{keys.HELD_BY_QUEUE} is kept by SpotKube" in complaint
    away = {"metadata": {"labels": {keys.QUEUE_NAME: None}, "annotations": {keys.HELD_BY_QUEUE: None}}}
    assert "can't be changed" in tenant.refused("job/work", away | RESUME)
    assert "can't be changed" in tenant.refused("job/work", {"metadata": {"labels": {KUEUES: "theirs"}}})


def test_a_running_job_keeps_its_queue_and_a_suspended_one_may_be_given_another(
    tenant: Person, operator: Person
) -> None:
    tenant.create(job())
    operator.patch("job/work", LET_GO)
    move = {"metadata": {"labels": {keys.QUEUE_NAME: "b"}}}
    leave = {"metadata": {"labels": {keys.QUEUE_NAME: None}}}

    assert "while the Job runs: set spec.suspend to true before" in tenant.refused("job/work", move)
    assert "while the Job runs" in tenant.refused("job/work", leave)
    assert "while the Job runs" in tenant.refused("job/work", move | SUSPEND)
    assert "kept by SpotKube" in tenant.refused("job/work", {"metadata": {"annotations": HELD}})

    tenant.patch("job/work", SUSPEND)
    tenant.patch("job/work", move)
    assert "change its label first" in tenant.refused("job/work", leave | RESUME)
    tenant.patch("job/work", leave)
    tenant.patch("job/work", RESUME)
    assert state(tenant.get("job/work")) == (False, {})
    assert "while the Job runs" in tenant.refused("job/work", move)


def test_a_plain_job_joins_a_queue_only_while_it_is_suspended(tenant: Person) -> None:
    join = {"metadata": {"labels": {keys.QUEUE_NAME: "a"}}}
    tenant.create(job("running", labels={}))
    tenant.create(job("suspended", labels={}, suspend=True))

    assert "set spec.suspend to true before" in tenant.refused("job/running", join)
    tenant.patch("job/suspended", join | RESUME)

    assert state(tenant.get("job/suspended")) == (True, HELD)


def test_a_running_job_may_be_narrowed_and_not_widened(tenant: Person, operator: Person) -> None:
    tenant.create(job(parallelism=4, completions=9))
    operator.patch("job/work", LET_GO)

    tenant.patch("job/work", {"spec": {"parallelism": 2}})
    complaint = tenant.refused("job/work", {"spec": {"parallelism": 3}})
    operator.patch("job/work", {"spec": {"parallelism": 4}})

    assert "queue 'a' has admitted the Job with 2" in complaint
    assert "set spec.suspend to true, raise it, and resume the Job" in complaint
    tenant.patch("job/work", SUSPEND)
    tenant.patch("job/work", {"spec": {"parallelism": 6}})
    tenant.patch("job/work", RESUME)
    assert state(tenant.get("job/work")) == (True, HELD)


def test_the_width_of_a_divided_job_is_its_queues_until_its_owner_suspends_it(tenant: Person, operator: Person) -> None:
    divisible = {keys.MIN_PARALLELISM: "2"}
    tenant.create(job(annotations=divisible, parallelism=4, completions=9))
    template = {"op": "add", "path": "/spec/template/spec/schedulingGates", "value": [{"name": keys.QUEUE_GATE}]}
    operator.patch("job/work", [template, *divided(2, own=4)], kind="json")
    pods = wait_until(lambda: tenant.get("pods")["items"])
    assert all(one["spec"]["schedulingGates"] == [{"name": keys.QUEUE_GATE}] for one in pods)

    for width in (1, 3):
        complaint = tenant.refused("job/work", {"spec": {"parallelism": width}})
    assert "queue 'a' says with how many pods the Job runs" in complaint or "more can't be had" in complaint
    assert keys.PARALLELISM in tenant.refused("job/work", {"metadata": {"annotations": {keys.PARALLELISM: "9"}}})
    operator.patch("job/work", {"spec": {"parallelism": 3}})
    complaint = tenant.refused(f"pod/{pods[0]['metadata']['name']}", {"spec": {"schedulingGates": None}})
    assert f"{keys.QUEUE_GATE} is lifted by SpotKube alone" in complaint

    tenant.patch("job/work", SUSPEND)
    assert tenant.get("job/work")["spec"]["parallelism"] == 4
    tenant.patch("job/work", {"spec": {"parallelism": 6}})
    tenant.patch("job/work", RESUME)
    assert state(tenant.get("job/work")) == (True, HELD)


def test_an_owner_may_give_a_divided_job_another_parallelism_as_he_suspends_it(
    tenant: Person, operator: Person
) -> None:
    tenant.create(job(annotations={keys.MIN_PARALLELISM: "2"}, parallelism=4, completions=9))
    operator.patch("job/work", divided(2, own=4), kind="json")

    tenant.patch("job/work", {"spec": {"suspend": True, "parallelism": 5}})

    assert tenant.get("job/work")["spec"]["parallelism"] == 5


def divided(width: int, *, own: int) -> list[Manifest]:
    """How the operator lets go a Job with fewer pods than its own."""
    annotations = "/metadata/annotations/"
    return [
        {"op": "replace", "path": "/spec/parallelism", "value": width},
        {"op": "add", "path": annotations + keys.PARALLELISM.replace("/", "~1"), "value": str(own)},
        {"op": "add", "path": annotations + keys.ADMITTED_AT.replace("/", "~1"), "value": "2026-11-28T12:00:00Z"},
        {"op": "replace", "path": "/spec/suspend", "value": False},
    ]


def test_other_jobs_are_left_alone(tenant: Person) -> None:
    theirs = {
        "plain": job("plain", labels={}),
        "no-queue": job("no-queue", labels={keys.QUEUE_NAME: ""}),
        "kueues": job("kueues", labels={keys.QUEUE_NAME: "a", KUEUES: "theirs"}),
        "managed": job("managed", managedBy="example.com/controller"),
    }
    for name, body in theirs.items():
        assert state(tenant.create(body)) == (False, {})
        tenant.patch(f"job/{name}", SUSPEND)
        tenant.patch(f"job/{name}", RESUME | {"metadata": {"annotations": {"example.com/note": "mine"}}})
        tenant.patch(f"job/{name}", {"spec": {"parallelism": 3}})
        assert state(tenant.get(f"job/{name}")) == (False, {})
    assert "can't be changed" in tenant.refused("job/kueues", {"metadata": {"labels": {KUEUES: None}}})
    tenant.run("delete", "jobs", "--all", "--wait=false")


def test_a_job_may_be_changed_and_deleted_in_all_other_ways(tenant: Person, operator: Person) -> None:
    tenant.create(job())
    mine = {"metadata": {"labels": {"team": "x"}, "annotations": {"note": "y"}}, "spec": {"backoffLimit": 1}}

    tenant.patch("job/work", mine)
    operator.patch("job/work", LET_GO)
    tenant.patch("job/work", {"metadata": {"labels": {"team": None}}, "spec": {"activeDeadlineSeconds": 3600}})
    tenant.run("apply", "--server-side", "--force-conflicts", "-f", "-", body=job())

    assert state(tenant.get("job/work")) == (False, {})
    tenant.run("delete", "job", "work")


def test_our_gates_are_lifted_by_the_operator_alone(tenant: Person, operator: Person) -> None:
    assert tenant.create(pod(schedulingGates=[OURS, OTHERS]))["spec"]["schedulingGates"] == [OURS, OTHERS]

    complaint = tenant.refused("pod/bare", {"spec": {"schedulingGates": [OTHERS]}})
    tenant.patch("pod/bare", {"spec": {"schedulingGates": [OURS]}})
    tenant.patch("pod/bare", {"metadata": {"labels": {"team": "x"}}})

    assert f"{keys.PLACEMENT_GATE} is lifted by SpotKube alone" in complaint
    assert "delete the pod" in complaint
    operator.patch("pod/bare", [{"op": "remove", "path": "/spec/schedulingGates/0"}], kind="json")
    assert "schedulingGates" not in tenant.get("pod/bare")["spec"]
    tenant.run("delete", "pod", "bare", "--wait=false")


@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_our_labels_and_annotations_are_written_by_the_operator_alone(
    tenant: Person, operator: Person, where: str
) -> None:
    tenant.create(pod())
    tenant.create(job(labels={}))

    for what in ("pod/bare", "job/work"):
        assert f"{keys.WORKLOAD} is written by SpotKube alone" in tenant.refused(
            what, {"metadata": {where: {keys.WORKLOAD: "mine"}}}
        )
        operator.patch(what, {"metadata": {where: {keys.WORKLOAD: "theirs"}}})
        for value in ("other", None):
            assert keys.WORKLOAD in tenant.refused(what, {"metadata": {where: {keys.WORKLOAD: value}}})
        tenant.patch(what, {"metadata": {where: {"example.com/mine": "1"}}})
        for value in ("true", None):
            tenant.patch(what, {"metadata": {where: {keys.DO_NOT_DISRUPT: value}}})


def test_a_pod_keeps_the_queue_that_it_was_made_for(tenant: Person) -> None:
    tenant.create(pod(labels={keys.QUEUE_NAME: "a"}))

    assert "can't be changed once it is made" in tenant.refused(
        "pod/bare", {"metadata": {"labels": {keys.QUEUE_NAME: "b"}}}
    )


def test_nobody_makes_pods_pass_for_those_of_a_workload(tenant: Person, operator: Person) -> None:
    forged = {keys.WORKLOAD: "theirs"}

    for body in (pod(labels=forged), job(template={"labels": forged}), deployment(forged)):
        assert f"{keys.WORKLOAD} is written by SpotKube alone" in tenant.refused_creation(body)
    tenant.create(job(template={"annotations": {keys.DO_NOT_DISRUPT: "true"}}))
    template = {"spec": {"template": {"metadata": {"labels": forged}}}}
    assert keys.WORKLOAD in tenant.refused("job/work", template)

    operator.create(deployment(forged))
    (made,) = wait_until(lambda: tenant.get("pods")["items"])
    assert made["metadata"]["labels"][keys.WORKLOAD] == "theirs"
    tenant.patch("deployment/web", {"spec": {"replicas": 2}})
    wait_until(lambda: len(tenant.get("pods")["items"]) == 2)
    assert keys.WORKLOAD in tenant.refused(
        "deployment/web", {"spec": {"template": {"metadata": {"labels": {keys.WORKLOAD: None}}}}}
    )


def test_pods_that_name_a_queue_are_born_gated(tenant: Person) -> None:
    named = {keys.QUEUE_NAME: "a"}
    for spec in ({}, {"schedulingGates": [QUEUE]}, {"schedulerName": "mine"}):
        assert born(tenant, pod(labels=named, **spec)) == [QUEUE["name"]]
    assert sorted(born(tenant, pod(labels=named, schedulingGates=[OTHERS]))) == [OTHERS["name"], QUEUE["name"]]

    assert born(tenant, pod()) == []
    assert born(tenant, pod(labels={keys.QUEUE_NAME: ""})) == []
    assert born(tenant, pod(labels={**named, KUEUES: "theirs"})) == []
    assert "leave nodeName out" in tenant.refused_creation(pod(labels=named, nodeName="somewhere"))
    for kind in ("Job", "DaemonSet"):
        owned = pod(labels=named)
        owner = {"apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "1", "controller": True}
        owned["metadata"]["ownerReferences"] = [owner]
        assert born(tenant, owned) == []


def test_pods_of_a_deployment_that_opts_in_are_born_gated_and_only_the_operator_lets_them_go(
    tenant: Person, operator: Person
) -> None:
    tenant.create(deployment({keys.QUEUE_NAME: "a"}))
    (made,) = wait_until(lambda: tenant.get("pods")["items"])
    what = f"pod/{made['metadata']['name']}"
    assert gates(made) == [QUEUE["name"]]

    assert f"{keys.QUEUE_GATE} is lifted by SpotKube alone" in tenant.refused(what, {"spec": {"schedulingGates": None}})
    assert "can't be changed once it is made" in tenant.refused(what, {"metadata": {"labels": {keys.QUEUE_NAME: None}}})

    operator.patch(what, lift(converted(made)), kind="json")
    assert gates(tenant.get(what)) == []


def test_the_gate_is_found_among_others_and_only_where_it_was_seen(tenant: Person, operator: Person) -> None:
    made = tenant.create(pod(labels={keys.QUEUE_NAME: "a"}, schedulingGates=[OTHERS, OURS]))
    change = lift(converted(made))
    tenant.patch("pod/bare", {"spec": {"schedulingGates": [OURS, QUEUE]}})

    with pytest.raises(KubectlError):
        operator.patch("pod/bare", change, kind="json")
    operator.patch("pod/bare", lift(converted(tenant.get("pod/bare"))), kind="json")

    assert gates(tenant.get("pod/bare")) == [OURS["name"]]
    tenant.run("delete", "pod", "bare", "--wait=false")


def test_a_group_is_named_and_sized_while_it_waits(tenant: Person, operator: Person) -> None:
    group, annotations = {keys.QUEUE_NAME: "a", keys.POD_GROUP_NAME: "g"}, {keys.POD_GROUP_SIZE: "2"}
    waits = pod(labels=group)
    waits["metadata"]["annotations"] = annotations
    made = tenant.create(waits)
    tenant.create(job(labels=group, annotations=annotations))
    larger = {"metadata": {"annotations": {keys.POD_GROUP_SIZE: "3"}}}
    for what in ("pod/bare", "job/work"):
        tenant.patch(what, {"metadata": {"annotations": {keys.POD_GROUP_SIZE: "4"}}})

    operator.patch("pod/bare", lift(converted(made)), kind="json")
    operator.patch("job/work", LET_GO)
    wait_until(lambda: not is_accepted(tenant, "job/work", larger, "--dry-run=server"), 60, "the policy to be at work")

    for what in ("pod/bare", "job/work"):
        for change in ({"annotations": {keys.POD_GROUP_SIZE: "3"}}, {"labels": {keys.POD_GROUP_NAME: "other"}}):
            assert "can't be changed while it runs" in tenant.refused(what, {"metadata": change})
        tenant.patch(what, {"metadata": {"annotations": {"example.com/note": "mine"}}})


def born(person: Person, body: Manifest) -> list[str]:
    """The gates that a pod would be made with."""
    return gates(person.create(body, "--dry-run=server"))


def gates(made: Manifest) -> list[str]:
    return [gate["name"] for gate in made["spec"].get("schedulingGates", [])]


def converted(made: Manifest) -> Pod:
    found = to_pod(made)
    assert found is not None
    return found


def test_uninstalling_ends_it_and_a_command_starts_those_that_wait(
    cluster: Cluster, tenant: Person, operator: Person, tmp_path: Path
) -> None:
    tenant.create(job("waits"))
    operator.patch("job/waits", {"metadata": {"annotations": LET_GO_AT}})
    tenant.create(job("his-own", suspend=True))

    helm(cluster, "uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE)

    wait_until(lambda: made_suspended(tenant) is False, 60, "no policy")
    wait_until(lambda: is_accepted(tenant, "job/waits", RESUME, "--dry-run=server"), 60, "no policy")
    assert state(tenant.get("job/waits")) == (True, HELD)
    late = lists_first(tmp_path, cluster.binary("kubectl"), f"{tenant.namespace} deleted-meanwhile")
    do_as_documented(cluster, "uninstall.md", "are started by hand", late)
    assert tenant.get("job/waits")["spec"]["suspend"] is False
    assert tenant.get("job/his-own")["spec"]["suspend"] is True


def lists_first(directory: Path, kubectl: Path, line: str) -> Path:
    """Puts a kubectl there whose `get` begins with a line of its own."""
    program = directory / "kubectl"
    program.write_text(f'#!/bin/sh\n[ "$1" != get ] || echo "{line}"\nexec {kubectl} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return directory
