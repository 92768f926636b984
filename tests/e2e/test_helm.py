"""The chart in the hands of real Helm and a real API server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import KubectlError
from spotkube.api import KINDS
from spotkube.cluster.cache import Cache
from spotkube.cluster.resources import Resource
from spotkube.model.cluster import Mode
from spotkube.observe import Observer
from spotkube.settings import load_settings
from support import fake_node, wait_until
from support_chart import CHART, RELEASE, SERVICE_ACCOUNT, HelmError, Manifest, helm, install_operator_identity, render

Kubectl = Callable[..., str]

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
EVERYTHING_ON = ("--set", "serviceMonitor.enabled=true", "--set", "config.provider_url=http://cloud:9090")


def only(manifests: list[Manifest], kind: str) -> Manifest:
    """The one object of a kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def pod_spec(manifests: list[Manifest]) -> dict[str, Any]:
    spec: dict[str, Any] = only(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


# Rendering


@pytest.mark.parametrize("values", [(), EVERYTHING_ON], ids=["defaults", "everything on"])
def test_helm_lint_has_nothing_to_say(cluster: Cluster, values: tuple[str, ...]) -> None:
    assert "0 chart(s) failed" in helm(cluster, "lint", "--strict", "--quiet=false", *values, str(CHART))


def test_two_replicas_and_a_budget_by_default_but_no_budget_that_blocks_drains(cluster: Cluster) -> None:
    two = render(cluster, "ns")
    one = render(cluster, "ns", "--set", "replicas=1")

    assert only(two, "Deployment")["spec"]["replicas"] == 2
    assert only(two, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert "PodDisruptionBudget" not in {manifest["kind"] for manifest in one}


def test_probes_metrics_and_the_operator_share_the_chosen_port(cluster: Cluster) -> None:
    manifests = render(cluster, "ns", "--set", "service.port=9099", *EVERYTHING_ON)
    (container,) = pod_spec(manifests)["containers"]

    assert container["ports"] == [{"name": "http", "containerPort": 9099}]
    assert {"name": "SPOTKUBE_HEALTH_PORT", "value": "9099"} in container["env"]
    assert {container[f"{probe}Probe"]["httpGet"]["port"] for probe in ("startup", "liveness", "readiness")} == {"http"}
    assert only(manifests, "Service")["spec"]["ports"][0]["port"] == 9099
    assert only(manifests, "ServiceMonitor")["spec"]["endpoints"][0]["path"] == "/metrics"


def test_the_operator_understands_the_settings_that_the_chart_writes(cluster: Cluster, tmp_path: Path) -> None:
    given = {"mode_override": "Paused", "cycle_seconds": 7, "api_qps": 12.5}
    manifests = render(cluster, "ns", "--set-json", f"config={json.dumps(given)}")
    file = tmp_path / "config.yaml"
    file.write_text(only(manifests, "ConfigMap")["data"]["config.yaml"], encoding="utf-8")

    settings = load_settings(file)

    assert settings.model_dump(include=set(given)) == given
    assert pod_spec(manifests)["containers"][0]["args"] == ["run", "--config", "/etc/spotkube/config.yaml"]


def test_by_default_nothing_is_bought(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(only(render(cluster, "ns"), "ConfigMap")["data"]["config.yaml"], encoding="utf-8")
    assert load_settings(file).mode_override is Mode.RECOMMEND

    lifted = render(cluster, "ns", "--set", "config.mode_override=null")
    file.write_text(only(lifted, "ConfigMap")["data"]["config.yaml"], encoding="utf-8")
    assert load_settings(file).mode_override is None


def test_a_catalog_of_ones_own_arrives_unchanged(cluster: Cluster, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("families:\n  # a comment, and {{ braces }}\n  m9z: {}\n", encoding="utf-8")

    manifests = render(cluster, "ns", "--set-file", f"catalog={catalog}")

    assert only(manifests, "ConfigMap")["data"]["catalog.yaml"].strip() == catalog.read_text(encoding="utf-8").strip()
    variable = {"name": "SPOTKUBE_CATALOG_FILE", "value": "/etc/spotkube/catalog.yaml"}
    assert variable in pod_spec(manifests)["containers"][0]["env"]


def test_changed_settings_roll_the_pods_over(cluster: Cluster) -> None:
    def template(*args: str) -> Any:
        return only(render(cluster, "ns", *args), "Deployment")["spec"]["template"]

    assert template() == template("--set", "podDisruptionBudget.enabled=false")
    assert template() != template("--set", "config.cycle_seconds=7")


def test_an_account_of_ones_own_is_used_and_none_is_made(cluster: Cluster) -> None:
    manifests = render(cluster, "ns", "--set", "serviceAccount.create=false", "--set", "serviceAccount.name=mine")

    assert "ServiceAccount" not in {manifest["kind"] for manifest in manifests}
    assert pod_spec(manifests)["serviceAccountName"] == "mine"
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        assert only(manifests, kind)["subjects"] == [{"kind": "ServiceAccount", "name": "mine", "namespace": "ns"}]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ("replica=3", "'replica' not allowed"),
        ("image.tags=1.0", "'tags' not allowed"),
        ("config.cycle_second=5", "'cycle_second' not allowed"),
        ("config.mode_override=Aply", "value must be one of 'Apply', 'Recommend', 'Paused'"),
        ("config.plan_history=0", "minimum: got 0, want 1"),
        ("config.health_port=9000", "'health_port' not allowed"),
        ("replicas=two", "got string, want integer"),
        ("service.port=80", "minimum: got 80, want 1,024"),
        ("serviceAccount.create=false", "serviceAccount.name: name the ServiceAccount to use"),
    ],
)
def test_wrong_values_are_refused(cluster: Cluster, values: str, complaint: str) -> None:
    with pytest.raises(HelmError) as refusal:
        render(cluster, "ns", "--set", values)

    assert complaint in str(refusal.value)


def test_no_right_is_a_wildcard(cluster: Cluster) -> None:
    roles = [manifest for manifest in render(cluster, "ns") if manifest["kind"] in ("Role", "ClusterRole")]

    assert len(roles) == 4
    for role in roles:
        assert "*" not in json.dumps(role), role["metadata"]["name"]


# Installing


@pytest.fixture
def restricted(kubectl: Kubectl, namespace: str) -> str:
    """A namespace that accepts only pods of the restricted security level."""
    kubectl("label", "namespace", namespace, RESTRICTED)
    return namespace


@pytest.fixture
def installed(cluster: Cluster, kubectl: Kubectl, restricted: str) -> Iterator[str]:
    """The chart installed by Helm; gives the namespace."""
    helm(cluster, "install", RELEASE, str(CHART), "--namespace", restricted)
    yield restricted
    helm(cluster, "uninstall", RELEASE, "--namespace", restricted, "--ignore-not-found")


def operator_pods(kubectl: Kubectl, namespace: str) -> list[Manifest]:
    found = kubectl("get", "pods", "-n", namespace, "-l", "app.kubernetes.io/name=spotkube", "-o", "json")
    items: list[Manifest] = json.loads(found)["items"]
    return items


def test_its_pods_are_accepted_where_only_restricted_ones_are(kubectl: Kubectl, installed: str) -> None:
    pods = wait_until(
        lambda: pods if len(pods := operator_pods(kubectl, installed)) == 2 else [],
        message=lambda: kubectl("get", "events", "-n", installed),
    )

    assert {pod["spec"]["serviceAccountName"] for pod in pods} == {SERVICE_ACCOUNT}
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        kubectl("run", "careless", "-n", installed, "--image=none", "--dry-run=server")


def test_what_the_notes_teach_works(cluster: Cluster, kubectl: Kubectl, installed: str) -> None:
    notes = helm(cluster, "get", "notes", RELEASE, "--namespace", installed)
    heredoc = re.search(r"apply -f - <<EOF\n(.*?)\n +EOF", notes, re.DOTALL)
    assert heredoc is not None, notes

    assert "created (server dry run)" in kubectl("apply", "--dry-run=server", "-f", "-", input=heredoc[1])
    for command in re.findall(r"^ +kubectl (get .*|-n .* get (?!lease).*)$", notes, re.MULTILINE):
        kubectl(*command.split())


def test_an_upgrade_changes_what_it_is_told(cluster: Cluster, kubectl: Kubectl, installed: str) -> None:
    helm(cluster, "upgrade", RELEASE, str(CHART), "--namespace", installed, "--set", "replicas=1")

    assert kubectl("get", "deployment", "spotkube", "-n", installed, "-o", "jsonpath={.spec.replicas}") == "1"


def test_uninstalling_leaves_claims_nodes_and_pods(
    cluster: Cluster, kubectl: Kubectl, installed: str, namespace: str, bought: list[str]
) -> None:
    wait_until(lambda: operator_pods(kubectl, installed))

    helm(cluster, "uninstall", RELEASE, "--namespace", installed)

    # The garbage collector has run when the operator's own pods are gone: what it left stays.
    wait_until(lambda: not operator_pods(kubectl, installed), message="the operator's pods are still there")
    left = json.loads(kubectl("get", "-n", namespace, *bought, "-o", "json"))["items"]
    assert {item["kind"] for item in left} == {"NodeClaim", "Node", "Pod"}
    assert [item["metadata"]["name"] for item in left if "deletionTimestamp" in item["metadata"]] == []
    for kind in KINDS:
        kubectl("get", "crd", kind.resource.full_name)
    rest = kubectl("get", "all,cm,sa,pdb,role,rolebinding", "-n", installed, "-l", "app.kubernetes.io/name=spotkube")
    assert rest.strip() == ""
    assert kubectl("get", "clusterrole,clusterrolebinding", "-o", "name").count(f"/{installed}:") == 0


@pytest.fixture
def bought(kubectl: Kubectl, installed: str, namespace: str, fake_nodes: None) -> Iterator[list[str]]:
    """A claim, its node and a pod running there, as arguments of kubectl."""
    name = f"node-{namespace}"
    claim = {
        "apiVersion": "spotkube.io/v1alpha1",
        "kind": "NodeClaim",
        "metadata": {"name": name, "finalizers": ["spotkube.io/termination"]},
        "spec": {
            "nodePool": "general",
            "instanceType": "m7g.large",
            "zone": "us-east-1a",
            "capacityType": "spot",
            "arch": "arm64",
            "priceUSDPerHour": 0.03,
            "allocatable": {"cpu": "1930m", "memory": "7Gi", "pods": "29"},
        },
    }
    node = fake_node(name, labels={"spotkube.io/nodeclaim": name})
    node["metadata"]["finalizers"] = ["spotkube.io/termination"]
    node["spec"] = {"taints": [{"key": "test", "value": namespace, "effect": "NoSchedule"}]}
    container = {
        "name": "main",
        "image": "none",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "work", "namespace": namespace},
        "spec": {
            "nodeName": name,
            "containers": [container],
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        },
    }
    kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": [claim, node, pod]}))
    kubectl("wait", "-n", namespace, "pod/work", "--for=jsonpath={.status.phase}=Running", "--timeout=20s")
    objects = [f"nodeclaims.spotkube.io/{name}", f"node/{name}"]
    yield [*objects, "pod/work"]
    for held in objects:
        kubectl("patch", held, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
        kubectl("delete", held, "--wait=false")


# Rights

ELSEWHERE = "default"


def watched_kinds() -> list[Resource]:
    """The kinds that the operator's cache holds."""
    cache = Cache()
    Observer.fill(cache)
    return list(cache.resources)


WATCHED = watched_kinds()
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
]
FORBIDDEN = [
    *[(verb, "", "secrets", "OWN", "") for verb in ("get", "list", "create")],
    *[(verb, "", "configmaps", "OWN", "") for verb in ("get", "update")],
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


def test_people_with_kubernetes_own_roles_see_our_kinds_and_write_workloads(kubectl: Kubectl, installed: str) -> None:
    for role in ("view", "edit"):
        kubectl("create", "rolebinding", role, "-n", installed, f"--clusterrole={role}", f"--user={role}er")

    def may(user: str, verb: str, kind: str) -> bool:
        answer = kubectl("auth", "can-i", verb, f"{kind}.spotkube.io", "-n", installed, "--as", user, check=False)
        return answer.startswith("yes")

    wait_until(lambda: may("viewer", "list", "workloads"), message="the roles are not aggregated")
    wait_until(lambda: may("editer", "create", "workloads"), message="the roles are not aggregated")
    assert not may("viewer", "create", "workloads")
    assert not may("editer", "create", "nodepools")
    assert not may("editer", "delete", "nodeclaims")
