"""Nodes are replaced for what they are: too old, not as their pool says, or sick. No pod is lost for it."""

from __future__ import annotations

import json
from typing import Any

from spotkube.cluster.resources import NODEPOOLS
from spotkube.model import labels
from support_operator import Object, Story, condition, is_leaving, is_running, name_of, names

NODES, PODS, LEAST = 3, 6, 5
FOUR_CORES = {"key": labels.INSTANCE_CPU, "operator": "In", "values": ["4"]}
TEAM = "example.com/team"


def pool(story: Story, **disruption: Any) -> None:
    budgets = [{"nodes": "1"}]
    story.make_pool(
        requirements=[FOUR_CORES], disruption={"consolidationPolicy": "Never", "budgets": budgets, **disruption}
    )


def fleet(story: Story, **spec: Any) -> set[str]:
    """Two pods on each node."""
    pool(story)
    story.apply(story.service("web", PODS, cpu="1500m", **spec))
    story.wait_running(PODS, "web")
    return names(story.wait_ready_claims(NODES))


def fall_sick(story: Story, node: str) -> None:
    """As if its kubelet had died: the Node stays, and is not Ready for an hour."""
    story.kubectl("annotate", "node", node, "spotkube.io/ready-delay=1h")
    status = {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletDied"}]}
    story.kubectl(
        "patch", "node", node, "--subresource=status", "--type=strategic", "-p", json.dumps({"status": status})
    )


class Watch:
    """Remembers the worst that was seen."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.least, self.most_away = PODS, 0

    def look(self, gone: set[str], nodes: int = NODES) -> bool:
        """Whether so many nodes are left, none of them of those that should be `gone`, with all pods running."""
        claims, running = self.story.claims(), sum(map(is_running, self.story.pods("web")))
        self.least = min(self.least, running)
        self.most_away = max(self.most_away, sum(map(is_leaving, claims)))
        return len(claims) == nodes and not names(claims) & gone and running == PODS


def told(story: Story, claims: set[str]) -> list[set[str]]:
    return [story.events_about(claim) for claim in claims]


def test_nodes_that_are_not_as_their_pool_says_are_replaced_one_after_the_other(story: Story) -> None:
    before = fleet(story, minAvailable=LEAST)
    watch = Watch(story)

    template = {"spec": {"template": {"metadata": {"labels": {TEAM: "shop"}}}}}
    story.kubectl("patch", NODEPOOLS.name, story.pool, "--type=merge", "-p", json.dumps(template))
    story.wait(lambda: watch.look(before), "all nodes to be replaced", timeout=200)

    assert watch.least >= LEAST, "the PodDisruptionBudget was not kept"
    assert watch.most_away == 1, "the NodePool's budget was not kept"
    assert {node["metadata"]["labels"].get(TEAM) for node in story.nodes().values()} == {"shop"}
    assert all("Drifted" in reasons for reasons in told(story, before))
    ended = story.site.events("terminated", before)
    assert [one["lost_pods"] for one in ended] == [[]] * NODES


def test_nodes_that_have_become_too_old_are_replaced(story: Story) -> None:
    before = fleet(story, minAvailable=LEAST)
    watch = Watch(story)

    pool(story, expireAfter="10s")
    story.wait(lambda: watch.look(set()) and not before <= names(story.claims()), "a node to be replaced", timeout=150)
    pool(story)
    story.wait(lambda: watch.look(set()), "the fleet to be whole again")

    gone = before - names(story.claims())
    assert watch.least >= LEAST
    assert watch.most_away == 1
    assert all("Expired" in reasons for reasons in told(story, gone))


def test_a_sick_node_is_replaced_but_not_when_many_are(story: Story) -> None:
    first, second, third = sorted(fleet(story))
    watch = Watch(story)

    fall_sick(story, first)
    pool(story, repairAfter="2s")
    story.wait(lambda: watch.look({first}), "the sick node to be replaced", timeout=200)
    assert "Unhealthy" in story.events_about(first)

    for node in (second, third):
        fall_sick(story, node)
    held: Object = story.wait(
        lambda: next(
            (one for one in [condition(story.pool_status(), "RepairAllowed")] if one["status"] == "False"), None
        ),
        "the pool to say that it is not the nodes",
    )
    story.settle()

    assert "2 of 3 nodes" in held["message"]
    assert {second, third} <= {name_of(claim) for claim in story.claims() if not is_leaving(claim)}
