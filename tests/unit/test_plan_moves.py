"""`spotkube plan` of a cluster that is there: which of its nodes are given back, and what holds them."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_plan_command import Command

POOL = """
apiVersion: spotkube.io/v1alpha1
kind: NodePool
metadata: {name: mine}
spec: {disruption: {consolidationPolicy: %s, payBackWithin: %s}}
"""
NODE = """
---
apiVersion: spotkube.io/v1alpha1
kind: NodeClaim
metadata: {name: NAME}
spec:
  nodePool: mine
  instanceType: m.large
  zone: here-a
  capacityType: on-demand
  arch: amd64
  priceUSDPerHour: 0.09
  allocatable: {cpu: 2, memory: 8Gi, pods: 20}
  labels: {node.kubernetes.io/instance-type: m.large, topology.kubernetes.io/zone: here-a}
status: {phase: Ready, nodeName: NAME}
---
apiVersion: v1
kind: Node
metadata: {name: NAME, labels: {spotkube.io/nodeclaim: NAME, spotkube.io/nodepool: mine}}
status: {allocatable: {cpu: 2, memory: 8Gi, pods: 20}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-NAME
  namespace: shop
  labels: {app: web}
  annotations: ANNOTATIONS
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]
spec:
  nodeName: NAME
  containers: [{name: main, resources: {requests: {cpu: "1", memory: 1Gi}}}]
status: {phase: Running}
"""
BUDGET = """
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, %s}
%s
"""


@pytest.fixture
def spotkube_plan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    return Command(monkeypatch, capsys, tmp_path)


def cluster(policy: str = "WhenEmpty", within: str = "1h", annotations: str = "{}") -> str:
    nodes = [NODE.replace("NAME", name).replace("ANNOTATIONS", annotations) for name in ("a", "b")]
    return "".join([POOL % (policy, within), *nodes])


def plan(command: Command, manifests: str, *arguments: str) -> dict[str, Any]:
    outcome = command("-f", "-", "-o", "json", *arguments, stdin=manifests)
    assert outcome.stderr == ""
    said: dict[str, Any] = json.loads(outcome.stdout)
    return said


def test_two_half_empty_nodes_become_one(spotkube_plan: Command) -> None:
    said = plan(spotkube_plan, cluster())
    (drain,) = said["drains"]
    assert drain["pods"] == [f"shop/web-{drain['claim']}"]
    assert drain["priceUSDPerHour"] == 0.09
    assert said["totals"]["costNowUSDPerHour"] == 0.18
    assert said["totals"]["costAfterUSDPerHour"] == said["totals"]["lowerBoundUSDPerHour"] == 0.09
    assert said["totals"]["placedPods"] == 0
    assert said["moves"]["movedPods"] == 1
    assert 0 < said["moves"]["paysBackMinutes"] < 60
    (chosen,) = [point for point in said["alternatives"] if point["chosen"]]
    assert chosen["movedPods"] == 1
    (placement,) = said["placements"]
    assert placement["pods"] == drain["pods"]


def test_the_table_says_why(spotkube_plan: Command) -> None:
    said = spotkube_plan("-f", "-", stdin=cluster()).stdout
    assert "Nodes to give back" in said
    assert "its pods go 1 onto nodes that stay; saves 0.0900 dollars an hour" in said
    assert "1 pods move, which costs $" in said


@pytest.mark.parametrize("policy", ["WhenEmpty", "WhenEmptyOrUnderutilized"])
def test_it_is_shown_whatever_the_policy(spotkube_plan: Command, policy: str) -> None:
    assert len(plan(spotkube_plan, cluster(policy))["drains"]) == 1


@pytest.mark.parametrize(
    ("manifests", "arguments"),
    [
        (cluster("Never"), ()),
        (cluster(within="10s"), ()),
        (cluster(), ("--no-consolidate",)),
        (cluster(annotations='{karpenter.sh/do-not-disrupt: "true"}'), ()),
        (cluster(annotations='{cluster-autoscaler.kubernetes.io/safe-to-evict: "false"}'), ()),
        (cluster() + BUDGET % ("maxUnavailable: 0", ""), ()),
        (cluster() + BUDGET % ("minAvailable: 100%", ""), ()),
        (cluster() + BUDGET % ("minAvailable: 1", "status: {disruptionsAllowed: 0}"), ()),
    ],
)
def test_what_holds_nodes(spotkube_plan: Command, manifests: str, arguments: tuple[str, ...]) -> None:
    said = plan(spotkube_plan, manifests, *arguments)
    assert (said["drains"], said["totals"]["costAfterUSDPerHour"]) == ([], 0.18)


def test_it_is_told_what_holds_nodes(spotkube_plan: Command) -> None:
    manifests = cluster(annotations='{spotkube.io/do-not-disrupt: "true"}')
    held = plan(spotkube_plan, manifests)["held"]
    assert held == [
        {"claim": name, "pod": f"shop/web-{name}", "reason": "it opted out of being moved"} for name in ("a", "b")
    ]
    said = spotkube_plan("-f", "-", stdin=manifests).stdout
    assert "nodes held in place" in said
    assert "such as a by pod shop/web-a: it opted out of being moved" in said


@pytest.mark.parametrize("rule", ["maxUnavailable: 1", "minAvailable: 50%", "maxUnavailable: 1%", "minAvailable: 1"])
def test_a_budget_that_allows_one_eviction_holds_nobody(spotkube_plan: Command, rule: str) -> None:
    assert len(plan(spotkube_plan, cluster() + BUDGET % (rule, ""))["drains"]) == 1


def test_a_budget_that_is_none_is_named(spotkube_plan: Command) -> None:
    outcome = spotkube_plan("-f", "-", stdin=cluster() + BUDGET % ("minAvailable: some", ""))
    assert outcome.code == 1
    assert "PodDisruptionBudget web" in outcome.stderr
    assert "spec.minAvailable" in outcome.stderr
