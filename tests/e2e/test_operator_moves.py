"""Half-empty nodes become fewer: nothing is lost, nobody waits, and it ends well however it is disturbed."""

from __future__ import annotations

from typing import Any

from spotkube.model import labels
from support_operator import Object, Story, condition, is_leaving, is_running, name_of, names

NODES, LEAST = 6, 5
POD_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
FOUR_CORES = {"key": labels.INSTANCE_CPU, "operator": "In", "values": ["4"]}


def pool(story: Story, **disruption: Any) -> None:
    story.make_pool(requirements=[FOUR_CORES], disruption=disruption)


def consolidate(story: Story, nodes: str) -> None:
    budgets = [{"nodes": nodes}]
    pool(story, consolidationPolicy="WhenEmptyOrUnderutilized", consolidateAfter="3s", budgets=budgets)


def half_empty(story: Story) -> list[Object]:
    """Six nodes for two pods each, of which one is left: those that cost least are removed, where a ReplicaSet has the
    choice of all it may remove both of a node."""
    pool(story, consolidationPolicy="Never")
    story.apply(story.service("web", 2 * NODES, cpu="1500m", minAvailable=LEAST))
    pods = story.wait_running(2 * NODES, "web")
    claims = story.wait_ready_claims(NODES)
    one_of_each = {pod["spec"]["nodeName"]: name_of(pod) for pod in pods}
    story.kubectl("annotate", "pods", *one_of_each.values(), f"{POD_DELETION_COST}=-1")
    story.apply(story.service("web", NODES, cpu="1500m", minAvailable=LEAST))
    story.wait_running(NODES, "web")
    story.wait(lambda: story.budget("web").get("disruptionsAllowed") == 1, "the budget to allow one eviction")
    return claims


def price(claims: list[Object]) -> float:
    return sum(claim["spec"]["priceUSDPerHour"] for claim in claims)


def saved(plan: Object) -> float:
    """Dollars an hour that the plan says to save; a plan about empty nodes moves nothing."""
    moves = plan["status"].get("moves") or {}
    return moves["savedUSDPerHour"] if moves.get("pods") else sum(one["savedUSDPerHour"] for one in drains(plan))


def drains(plan: Object) -> list[Object]:
    return plan["status"].get("drains") or []


def names_of_drains(plan: Object) -> set[str]:
    return {drain["claim"] for drain in drains(plan)}


def moving(story: Story) -> list[Object]:
    return [claim for claim in story.claims() if labels.MOVING in (claim["metadata"].get("annotations") or {})]


def closed(story: Story) -> set[str]:
    """Nodes that take no more pods though nobody has deleted their claims."""
    staying = {name_of(claim) for claim in story.claims() if not is_leaving(claim)}
    keys = {name: {taint["key"] for taint in node["spec"].get("taints") or ()} for name, node in story.nodes().items()}
    return {name for name in staying & keys.keys() if labels.DISRUPTED_TAINT in keys[name]}


def plan_of_moves(story: Story) -> Object:
    """The newest plan that moves pods of the story's nodes."""
    found = [plan for plan in story.plans() if (plan["status"].get("moves") or {}).get("pods")]
    return found[-1] if found else {}


def on_their_way(story: Story) -> set[str]:
    """Nodes of the newest plan of moves that are going, or gone; one that happened to be empty needs no such plan."""
    staying = names(claim for claim in story.claims() if not is_leaving(claim))
    return names_of_drains(plan_of_moves(story)) - staying


class Watch:
    """Remembers the worst that was seen."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.least, self.most_away = NODES, 0

    def look(self, nodes: int) -> bool:
        """Whether so few nodes are left, with all pods running on them."""
        claims, running = self.story.claims(), sum(map(is_running, self.story.pods("web")))
        self.least = min(self.least, running)
        self.most_away = max(self.most_away, sum(map(is_leaving, claims)))
        return len(claims) <= nodes and running == NODES and not moving(self.story)


def test_half_empty_nodes_become_fewer_within_both_budgets_and_as_cheap_as_planned(story: Story) -> None:
    before = half_empty(story)
    watch = Watch(story)
    consolidate(story, "2")
    story.wait(lambda: watch.look(NODES // 2), "three nodes to be left", timeout=150)

    assert watch.least >= LEAST, "the PodDisruptionBudget was not kept"
    assert watch.most_away <= 2, "the NodePool's budget was not kept"
    plans = [plan for plan in story.plans() if names_of_drains(plan) & names(before)]
    applied = [condition(plan["status"], "Applied") for plan in plans]
    assert {(told["status"], told["reason"]) for told in applied} == {("True", "Applied")}
    assert abs(price(before) - price(story.claims()) - sum(map(saved, plans))) < 1e-6
    ended = story.site.events("terminated", names(before))
    assert all((one["cause"], one["lost_pods"]) == ("deleted", []) for one in ended)

    left = names(story.claims())
    story.settle()
    assert names(story.claims()) == left
    assert moving(story) == []


def test_an_operator_that_is_killed_in_mid_move_goes_on_and_buys_nothing_twice(story: Story) -> None:
    before = names(half_empty(story))
    consolidate(story, "1")
    story.wait(lambda: plan_of_moves(story) and on_their_way(story), "the first node whose pods were moved to go")
    story.site.kill_operators()
    bought = int((plan_of_moves(story)["status"].get("nodes") or {}).get("add", 0))
    story.site.start_operator()
    watch = Watch(story)
    story.wait(lambda: watch.look(NODES // 2), "three nodes to be left", timeout=200)

    assert watch.least >= LEAST
    launched = story.site.events("launched")
    mine = {one["name"] for one in launched if one["name"].startswith(f"{story.pool}-")}
    assert len(mine - before) <= bought


def test_pods_that_opt_out_in_mid_move_stay_and_their_nodes_are_opened_again(story: Story) -> None:
    """Some may have been moved before they could; who opted out stays."""
    half_empty(story)
    consolidate(story, "1")
    story.wait(lambda: moving(story), "the moves to begin")
    story.kubectl("annotate", "pods", "--all", f"{labels.DO_NOT_DISRUPT}=true")
    story.settle()  # whom it had asked to leave before it knew has left
    held = {
        pod["metadata"]["uid"]
        for pod in story.pods("web")
        if is_running(pod) and labels.DO_NOT_DISRUPT in (pod["metadata"].get("annotations") or {})
    }
    story.wait(lambda: not moving(story) and not closed(story), "all moves to be over, and no node to be closed")

    story.wait_running(NODES, "web")
    assert held <= {pod["metadata"]["uid"] for pod in story.pods("web")}


def test_a_budget_of_none_leaves_all_nodes(story: Story) -> None:
    before = names(half_empty(story))
    consolidate(story, "0")
    story.settle()
    story.settle("settled-again")

    assert names(story.claims()) == before
    assert moving(story) == []
