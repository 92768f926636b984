"""What the API server makes of our CRDs: defaults, the status subresource, and what kubectl shows of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from api.cases import claim, deployment, job, manifest
from api.conftest import ApiServer
from localcluster.cluster import Cluster
from spotkube.api import KINDS, NodeClaim, NodePool, Workload
from spotkube.api.common import KubeObject
from support import wait_until


class TestDefaults:
    def test_a_pool_is_filled_in_as_the_models_say(self, api_server: ApiServer, unique_name: Callable[[], str]) -> None:
        written = manifest("NodePool", {}, unique_name())

        stored, _ = api_server.create(written)

        assert NodePool.from_dict(stored).spec == NodePool.from_dict(written).spec
        assert stored["spec"] == {
            "mode": "Recommend",
            "provider": "local",
            "weight": 0,
            "template": {"metadata": {}, "spec": {}},
            "limits": {},
            "perNodeCost": 0,
            "spot": {"maxInterruptionPercent": 100, "allowUnmanagedPods": False, "rebalance": "Avoid"},
            "readyTimeout": "5m",
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": "30s",
                "budgets": [{"nodes": "10%", "reasons": []}],
                "expireAfter": "0s",
                "repairAfter": "10m",
                "payBackWithin": "1h",
            },
        }

    def test_a_job_is_filled_in_and_its_template_kept(
        self, api_server: ApiServer, unique_name: Callable[[], str]
    ) -> None:
        written = manifest("Workload", job(), unique_name())
        written["spec"]["job"]["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]

        stored, _ = api_server.create(written)

        assert stored["spec"]["job"].items() >= {"completions": 1, "parallelism": 1, "backoffLimit": 6}.items()
        assert stored["spec"]["job"]["template"] == written["spec"]["job"]["template"]
        assert stored["spec"]["spot"] == {"never": False}
        assert Workload.from_dict(stored).spec == Workload.from_dict(written).spec

    def test_what_the_models_write_the_server_takes(
        self, api_server: ApiServer, unique_name: Callable[[], str]
    ) -> None:
        written = NodeClaim.from_dict(manifest("NodeClaim", claim(), unique_name())).to_dict()

        stored, refusal = api_server.create(written)

        assert refusal == ""
        assert NodeClaim.from_dict(stored).spec == NodeClaim.from_dict(written).spec


class TestStatus:
    def test_is_a_subresource(self, api_server: ApiServer, unique_name: Callable[[], str]) -> None:
        name = unique_name()
        api_server.create(manifest("NodePool", {}, name), dry_run=False)

        by_user, _ = api_server.patch("NodePool", name, {"status": {"nodes": 3}})
        by_us, _ = api_server.patch("NodePool", name, {"status": {"nodes": 3}}, part="/status")

        assert "status" not in by_user
        assert by_us["status"] == {"nodes": 3}
        assert by_us["metadata"]["generation"] == 1

    def test_takes_what_the_models_write(self, api_server: ApiServer, unique_name: Callable[[], str]) -> None:
        name = unique_name()
        api_server.create(manifest("NodeClaim", claim(), name), dry_run=False)
        time = "2026-11-24T12:00:00Z"
        status = {
            "phase": "Launched",
            "phaseTimes": {"Pending": time, "Launched": time},
            "providerID": "local:///us-east-1a/i-1",
            "conditions": [{"type": "Launched", "status": "True", "reason": "Bought", "lastTransitionTime": time}],
            "notice": {"kind": "SpotInterruption", "source": "local", "deadline": time, "receivedAt": time, "id": "n"},
        }
        written = NodeClaim.from_dict(manifest("NodeClaim", claim(), name) | {"status": status}).to_dict()["status"]

        stored, refusal = api_server.patch("NodeClaim", name, {"status": written}, part="/status")

        assert refusal == ""
        assert stored["status"] == written

    @pytest.mark.parametrize(
        ("status", "says"),
        [
            ({"phase": "Lost"}, '"Pending", "Launched", "Registered"'),
            ({"conditions": [{"type": "Ready", "status": "Maybe"}]}, '"True", "False", "Unknown"'),
        ],
    )
    def test_refuses_what_is_none(
        self, status: dict[str, object], says: str, api_server: ApiServer, unique_name: Callable[[], str]
    ) -> None:
        name = unique_name()
        api_server.create(manifest("NodeClaim", claim(), name), dry_run=False)

        _, refusal = api_server.patch("NodeClaim", name, {"status": status}, part="/status")

        assert says in refusal


class TestKubectl:
    @pytest.mark.parametrize("model", KINDS, ids=lambda model: model.resource.kind)
    def test_explains_the_kind_and_its_fields(self, model: type[KubeObject], cluster: Cluster, crds: None) -> None:
        name = model.resource.full_name

        # The server publishes a new CRD's schema a moment after it is established.
        text = wait_until(lambda: "FIELDS:" in (said := cluster.kubectl("explain", name, check=False)) and said)

        assert " ".join(model.__doc__.split())[:60] in " ".join(str(text).split())
        assert "Written by SpotKube" in cluster.kubectl("explain", f"{name}.status")

    def test_shows_what_a_claim_costs_and_where_it_stands(
        self, cluster: Cluster, api_server: ApiServer, unique_name: Callable[[], str]
    ) -> None:
        name = unique_name()
        api_server.create(manifest("NodeClaim", claim(reason="2 pods wait"), name), dry_run=False)
        api_server.patch("NodeClaim", name, {"status": {"phase": "Ready", "nodeName": name}}, part="/status")

        head, row = cluster.kubectl("get", "snc", name).splitlines()
        wide = cluster.kubectl("get", "snc", name, "-o", "wide")

        assert head.split() == ["NAME", "POOL", "TYPE", "ZONE", "CAPACITY", "$/H", "PHASE", "NODE", "AGE"]
        assert row.split()[:-1] == [name, "general", "m7g.large", "us-east-1a", "spot", "0.0312", "Ready", name]
        assert "2 pods wait" in wide

    def test_shows_plan_pool_and_workload_at_a_glance(
        self, cluster: Cluster, api_server: ApiServer, namespace: str, unique_name: Callable[[], str]
    ) -> None:
        name = unique_name()
        api_server.create(manifest("CapacityPlan", {"mode": "Recommend", "seed": 1}, name), dry_run=False)
        api_server.patch("CapacityPlan", name, {"status": PLAN_STATUS}, part="/status")
        api_server.create(manifest("NodePool", {"limits": {"usdPerHour": 5}}, name), dry_run=False)
        api_server.patch(
            "NodePool", name, {"status": {"nodes": 3, "readyNodes": 2, "usdPerHour": 1.25}}, part="/status"
        )
        api_server.create(manifest("Workload", deployment(replicas=3), name), dry_run=False)
        api_server.patch("Workload", name, {"status": WORKLOAD_STATUS}, part="/status")

        plan = cluster.kubectl("get", "cplan", name, "--no-headers").split()
        pool = cluster.kubectl("get", "snp", name, "--no-headers").split()
        workload = cluster.kubectl("get", "swl", name, "-n", namespace, "--no-headers").split()

        assert plan[1:-1] == ["Recommend", "2", "1", "0", "0.5", "1.25", "1.2", "4", "7"]
        assert pool[1:-1] == ["Recommend", "3", "2", "1.25", "5"]
        assert workload[1:-1] == ["Deployment/shop", "2", "3", "66.7", "0.4", "quota"]

    def test_finds_all_kinds_by_their_category(self, cluster: Cluster, crds: None) -> None:
        listed = cluster.kubectl("api-resources", "--categories=spotkube", "-o", "name").split()

        assert listed == sorted(model.resource.full_name for model in KINDS)


PLAN_STATUS = {
    "nodes": {"add": 2, "keep": 1, "drain": 0},
    "costNowUSDPerHour": 0.5,
    "costAfterUSDPerHour": 1.25,
    "lowerBoundUSDPerHour": 1.2,
    "gapPercent": 4,
    "pods": {"total": 20, "placed": 13, "unplaceable": 7},
}
WORKLOAD_STATUS = {
    "source": "Deployment/shop",
    "readyReplicas": 2,
    "replicas": 3,
    "spotPercent": 66.7,
    "usdPerHour": 0.4,
    "waitingFor": "quota",
}

PEERS = (
    ("karpenter.sh", "NodePool", "nodepools", "Cluster"),
    ("karpenter.sh", "NodeClaim", "nodeclaims", "Cluster"),
    ("kueue.x-k8s.io", "Workload", "workloads", "Namespaced"),
)
PEER_SHORT_NAMES = {"workloads": ["wl"]}


def peer_crd(group: str, kind: str, plural: str, scope: str) -> dict[str, object]:
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "shortNames": PEER_SHORT_NAMES.get(plural, [])}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": names,
            "scope": scope,
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


@pytest.fixture
def peers(cluster: Cluster, crds: None) -> Iterator[None]:
    """Karpenter's and Kueue's kinds of the same plurals, beside ours."""
    manifests = {"apiVersion": "v1", "kind": "List", "items": [peer_crd(*peer) for peer in PEERS]}
    names = [f"crd/{plural}.{group}" for group, _, plural, _ in PEERS]
    cluster.kubectl("apply", "-f", "-", input=json.dumps(manifests))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    yield
    cluster.kubectl("delete", *names, "--ignore-not-found")


@pytest.mark.parametrize(("group", "kind", "plural", "scope"), PEERS)
def test_full_and_short_names_lead_to_ours_beside_peers(
    group: str, kind: str, plural: str, scope: str, peers: None, cluster: Cluster, api_server: ApiServer, namespace: str
) -> None:
    short_name = next(model.resource.short_name for model in KINDS if model.resource.kind == kind)
    specs = {"NodePool": {}, "NodeClaim": claim(), "Workload": deployment()}
    theirs = manifest(kind, {}, f"{namespace}-theirs") | {"apiVersion": f"{group}/v1"}
    api_server.create(manifest(kind, specs[kind], f"{namespace}-ours"), dry_run=False)
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(theirs))

    by_full_name = cluster.kubectl("get", f"{plural}.spotkube.io", "-n", namespace, "-o", "name")
    by_short_name = cluster.kubectl("get", short_name, "-n", namespace, "-o", "name")
    of_peer = cluster.kubectl("get", f"{plural}.{group}", "-n", namespace, "-o", "name")

    assert f"{kind.lower()}.spotkube.io/{namespace}-ours" in by_full_name
    assert by_full_name == by_short_name
    assert "theirs" not in by_full_name
    assert of_peer.strip() == f"{kind.lower()}.{group}/{namespace}-theirs"
