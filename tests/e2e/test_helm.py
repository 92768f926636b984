"""The chart as real Helm renders it, and what its schema refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localcluster.cluster import Cluster
from spotkube.assemble import LEASE_NAME
from spotkube.model.cluster import Mode
from spotkube.settings import load_settings
from support_chart import CHART, HelmError, Manifest, helm, only, render

EVERYTHING_ON = (
    "--set",
    "serviceMonitor.enabled=true,agent.enabled=true",
    "--set",
    "config.provider_url=http://cloud:9090",
)


def pod_spec(manifests: list[Manifest]) -> dict[str, Any]:
    spec: dict[str, Any] = only(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


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
        ("config.leader_election=false", "set replicas to 1, or leave leader election on"),
    ],
)
def test_wrong_values_are_refused(cluster: Cluster, values: str, complaint: str) -> None:
    with pytest.raises(HelmError) as refusal:
        render(cluster, "ns", "--set", values)

    assert complaint in str(refusal.value)


def test_a_single_replica_may_do_without_leader_election(cluster: Cluster) -> None:
    manifests = render(cluster, "ns", "--set", "replicas=1,config.leader_election=false")

    assert "leader_election: false" in only(manifests, "ConfigMap")["data"]["config.yaml"]


def test_the_agent_runs_on_the_nodes_that_are_named_and_only_if_asked_for(cluster: Cluster) -> None:
    assert "DaemonSet" not in {manifest["kind"] for manifest in render(cluster, "ns")}
    found = render(cluster, "ns", *EVERYTHING_ON, "--set-json", 'agent.nodeSelector={"example.com/spot": "true"}')
    spec = only(found, "DaemonSet")["spec"]["template"]["spec"]

    assert spec["nodeSelector"] == {"example.com/spot": "true"}
    assert spec["containers"][0]["args"] == ["agent", "--metadata-url=http://169.254.169.254"]
    (role,) = [each for each in found if each["kind"] == "ClusterRole" and each["metadata"]["name"].endswith("-agent")]
    assert role["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"]}]


def test_no_right_is_a_wildcard(cluster: Cluster) -> None:
    roles = [manifest for manifest in render(cluster, "ns") if manifest["kind"] in ("Role", "ClusterRole")]

    assert len(roles) == 4
    for role in roles:
        assert "*" not in json.dumps(role), role["metadata"]["name"]


def test_the_lease_that_may_be_written_is_the_operators(cluster: Cluster) -> None:
    rules = only(render(cluster, "ns"), "Role")["rules"]

    assert [rule["resourceNames"] for rule in rules if "update" in rule["verbs"]] == [[LEASE_NAME]]


SERVES_MUTATING = ("--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy")
SERVES_VALIDATING = ("--api-versions", "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy")
SERVES_POLICIES = (*SERVES_MUTATING, *SERVES_VALIDATING)
POLICY_ON = ("--set", "placementPolicy.enabled=true,queuePolicy.enabled=false")
QUEUE_OFF = ("--set", "queuePolicy.enabled=false")


def policies(manifests: list[Manifest]) -> list[str]:
    return [manifest["kind"] for manifest in manifests if "AdmissionPolicy" in manifest["kind"]]


def test_pods_are_gated_only_if_asked_for_and_where_the_cluster_can(cluster: Cluster) -> None:
    assert policies(render(cluster, "ns", *SERVES_POLICIES, *QUEUE_OFF)) == []
    assert policies(render(cluster, "ns", *POLICY_ON)) == []
    found = render(cluster, "ns", *POLICY_ON, *SERVES_MUTATING)
    assert policies(found) == ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]
    assert only(found, "MutatingAdmissionPolicy")["spec"]["failurePolicy"] == "Ignore"
    assert only(found, "MutatingAdmissionPolicyBinding")["spec"] == {
        "policyName": only(found, "MutatingAdmissionPolicy")["metadata"]["name"]
    }


def test_the_queue_is_enforced_by_default_where_the_cluster_can(cluster: Cluster) -> None:
    """Jobs that can't be held must not be refused either, so both kinds of policy are there or none."""
    for served in (SERVES_MUTATING, SERVES_VALIDATING):
        assert policies(render(cluster, "ns", *served, "--kube-version", "1.33")) == []

    found = [each for each in render(cluster, "ns", *SERVES_POLICIES) if "AdmissionPolicy" in each["kind"]]

    names = {each["metadata"]["name"] for each in found if each["kind"].endswith("Policy")}
    assert names == {"ns.spotkube.queue", "ns.spotkube.queuepods", "ns.spotkube.queuepods.groups", "ns.spotkube.own"}
    assert sorted(each["kind"] for each in found) == [
        *["MutatingAdmissionPolicy"] * 2,
        *["MutatingAdmissionPolicyBinding"] * 2,
        *["ValidatingAdmissionPolicy"] * 4,
        *["ValidatingAdmissionPolicyBinding"] * 4,
    ]
    for each in found:
        if each["kind"].endswith("Binding"):
            assert each["spec"]["policyName"] in names
        else:
            assert each["spec"]["failurePolicy"] == "Fail"


def test_the_policies_let_the_account_do_its_work_that_the_operator_runs_under(cluster: Cluster) -> None:
    for values, account in (
        ("replicas=2", "spotkube"),
        ("serviceAccount.create=false,serviceAccount.name=mine", "mine"),
    ):
        for each in render(cluster, "ns", *SERVES_POLICIES, "--set", values):
            # The operator makes no pods, and a pod of a queue must wait whoever makes it.
            if each["kind"].endswith("AdmissionPolicy") and not each["metadata"]["name"].endswith(".queuepods"):
                conditions = [condition["expression"] for condition in each["spec"]["matchConditions"]]
                assert f"request.userInfo.username != 'system:serviceaccount:ns:{account}'" in conditions
