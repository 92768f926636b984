"""Rights that the chart gives, asked of a real API server: the operator's and those of people."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from localcluster.cluster import Cluster
from spotkube.api import KINDS
from spotkube.cluster.cache import Cache
from spotkube.cluster.resources import Resource
from spotkube.controllers.watched import add_all
from support import wait_until
from support_chart import SERVICE_ACCOUNT, Manifest, install_operator_identity, installation, render

Kubectl = Callable[..., str]

ELSEWHERE = "default"


def watched_kinds() -> list[Resource]:
    """The kinds that the operator's cache holds."""
    cache = Cache()
    add_all(cache)
    return list(cache.resources)


WATCHED = watched_kinds()
KEPT = ("spotkube-interruptions", "spotkube-queues")
ALLOWED = [
    # verb, group, resource, namespace ("" is the whole cluster), name
    *[(verb, kind.group, kind.plural, "", "") for kind in WATCHED for verb in ("list", "watch")],
    *[("patch", "spotkube.io", f"{kind.resource.plural}/status", "", "") for kind in KINDS],
    *[("patch", "spotkube.io", kind, "", "") for kind in ("capacityplans", "nodeclaims", "nodepools")],
    *[(verb, "", "pods", ELSEWHERE, "any") for verb in ("patch", "delete")],
    ("patch", "", "pods/status", ELSEWHERE, "any"),
    ("create", "", "pods/eviction", ELSEWHERE, "any"),
    *[(verb, "", "nodes", "", "any") for verb in ("patch", "delete")],
    *[(verb, "spotkube.io", kind, "", "") for verb in ("create", "delete") for kind in ("nodeclaims", "capacityplans")],
    *[(verb, "batch", "jobs", ELSEWHERE, "") for verb in ("create", "patch")],
    *[(verb, "apps", kind, ELSEWHERE, "") for verb in ("create", "patch") for kind in ("deployments", "statefulsets")],
    *[(verb, "policy", "poddisruptionbudgets", ELSEWHERE, "") for verb in ("create", "patch", "delete")],
    *[(verb, "events.k8s.io", "events", ELSEWHERE, "") for verb in ("create", "patch")],
    ("create", "coordination.k8s.io", "leases", "OWN", ""),
    *[(verb, "coordination.k8s.io", "leases", "OWN", "spotkube") for verb in ("get", "update")],
    ("create", "", "configmaps", "OWN", ""),
    *[(verb, "", "configmaps", "OWN", name) for verb in ("get", "patch") for name in KEPT],
]
FORBIDDEN = [
    *[(verb, "", "secrets", "OWN", "") for verb in ("get", "list", "create")],
    *[(verb, "", "configmaps", "OWN", "") for verb in ("get", "update", "patch", "delete")],
    ("patch", "", "configmaps", "OWN", "another"),
    ("create", "", "configmaps", ELSEWHERE, ""),
    *[("create", "", kind, ELSEWHERE, "") for kind in ("pods", "pods/exec", "pods/binding", "serviceaccounts/token")],
    *[(verb, "", "nodes", "", "") for verb in ("create", "deletecollection")],
    ("patch", "", "nodes/status", "", ""),
    ("patch", "", "namespaces", "", ELSEWHERE),
    ("deletecollection", "", "pods", ELSEWHERE, ""),
    *[("delete", "apps", kind, ELSEWHERE, "") for kind in ("deployments", "statefulsets", "replicasets", "daemonsets")],
    ("patch", "apps", "daemonsets", ELSEWHERE, ""),
    ("delete", "batch", "jobs", ELSEWHERE, ""),
    *[
        (verb, "spotkube.io", kind, "", "")
        for verb in ("create", "delete")
        for kind in ("workloads", "nodepools", "fairqueues")
    ],
    *[("patch", "spotkube.io", kind, "", "") for kind in ("workloads", "fairqueues")],
    ("create", "coordination.k8s.io", "leases", "kube-system", ""),
    ("update", "coordination.k8s.io", "leases", "OWN", "another"),
    ("update", "coordination.k8s.io", "leases", "kube-system", "spotkube"),
    *[
        (verb, "rbac.authorization.k8s.io", kind, "", "")
        for verb in ("create", "patch", "escalate", "bind")
        for kind in ("clusterroles", "clusterrolebindings")
    ],
    ("impersonate", "", "users", "", ""),
    ("list", "apiextensions.k8s.io", "customresourcedefinitions", "", ""),
    ("create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", ""),
]
Question = tuple[str, str, str, str, str]


@pytest.fixture
def identity(cluster: Cluster, namespace: str) -> Cluster:
    """The cluster as the operator sees it."""
    return Cluster(install_operator_identity(cluster, namespace))


def answers(identity: Cluster, namespace: str, questions: list[Question]) -> dict[Question, bool]:
    """What `kubectl auth can-i` would say, for all questions in one call."""

    def review(verb: str, group: str, resource: str, where: str, name: str) -> Manifest:
        kind, _, subresource = resource.partition("/")
        asked = {
            "verb": verb,
            "group": group,
            "resource": kind,
            "subresource": subresource,
            "namespace": where.replace("OWN", namespace),
            "name": name,
        }
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }

    reviews = {"apiVersion": "v1", "kind": "List", "items": [review(*question) for question in questions]}
    allowed = 'jsonpath={.status.allowed}{"\\n"}'
    lines = identity.kubectl("create", "-f", "-", "-o", allowed, input=json.dumps(reviews)).splitlines()
    return {question: line == "true" for question, line in zip(questions, lines, strict=True)}


def test_the_operator_may_do_what_it_does_and_nothing_else(cluster: Cluster, identity: Cluster, namespace: str) -> None:
    given = answers(identity, namespace, ALLOWED + FORBIDDEN)

    assert [question for question in ALLOWED if not given[question]] == [], "rights are missing"
    assert [question for question in FORBIDDEN if given[question]] == [], "rights are too wide"
    account = f"system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}"
    assert cluster.kubectl("auth", "can-i", "delete", "nodes", "--as", account).strip() == "yes"
    assert cluster.kubectl("auth", "can-i", "get", "secrets", "-A", "--as", account, check=False).startswith("no")


def level_of(identity: Cluster, *request: str) -> str:
    """The name of the priority level at which the API server took a request of the operator's."""
    command = [str(identity.binary("kubectl")), "--kubeconfig", str(identity.kubeconfig), "-v=8", *request]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    uids = re.findall(r"X-Kubernetes-Pf-Prioritylevel-Uid[:=]\W*([0-9a-f-]{36})", told, re.IGNORECASE)
    assert uids, told
    return str(uids[-1])


def test_requests_of_the_operator_do_not_wait_for_those_of_workloads(
    cluster: Cluster, identity: Cluster, namespace: str
) -> None:
    listed = json.loads(cluster.kubectl("get", "prioritylevelconfigurations", "-o", "json"))["items"]
    names = {level["metadata"]["uid"]: level["metadata"]["name"] for level in listed}

    def levels() -> list[str]:
        lease = ("get", "--raw", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/spotkube")
        requests = [lease, ("get", "--raw", "/api/v1/nodes?limit=1"), ("get", "--raw", "/api/v1/pods?limit=1")]
        return [names[level_of(identity, *request)] for request in requests]

    # It takes the API server a moment to learn of a FlowSchema.
    wanted = ["leader-election", "workload-high", "workload-high"]
    wait_until(lambda: levels() == wanted, message=lambda: f"{levels()} and not {wanted}")


def test_no_kind_may_be_listed_but_those_that_the_operator_watches(cluster: Cluster) -> None:
    (role, *_) = [
        manifest
        for manifest in render(cluster, "ns", "--set", "rbac.aggregateUserRoles=false")
        if manifest["kind"] == "ClusterRole"
    ]

    listed = {
        (group, resource)
        for rule in role["rules"]
        if "list" in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert listed == {(kind.group, kind.plural) for kind in WATCHED}


@pytest.fixture
def installed(cluster: Cluster, namespace: str) -> Iterator[None]:
    with installation(cluster, namespace):
        yield


def test_people_with_kubernetes_own_roles_see_our_kinds_and_write_workloads(
    kubectl: Kubectl, namespace: str, installed: None
) -> None:
    for role in ("view", "edit"):
        kubectl("create", "rolebinding", role, "-n", namespace, f"--clusterrole={role}", f"--user={role}er")

    def may(user: str, verb: str, kind: str) -> bool:
        answer = kubectl("auth", "can-i", verb, f"{kind}.spotkube.io", "-n", namespace, "--as", user, check=False)
        return answer.startswith("yes")

    wait_until(lambda: may("viewer", "list", "workloads"), message="the roles are not aggregated")
    wait_until(lambda: may("editer", "create", "workloads"), message="the roles are not aggregated")
    assert not may("viewer", "create", "workloads")
    assert not may("editer", "create", "nodepools")
    assert not may("editer", "delete", "nodeclaims")
