"""Nodes that go: taken back by the cloud with a notice, or deleted with kubectl; nothing is lost either way."""

from __future__ import annotations

from datetime import datetime

import pytest

from spotkube.cluster.resources import NODECLAIMS, NODEPOOLS, NODES
from spotkube.model import labels
from support_operator import Object, Story, is_running, is_spot, name_of, names, offering, phase

NOTICE_SECONDS = 60
NTH_TAINT = "aws-node-termination-handler/spot-itn"


def is_marked(node: Object) -> bool:
    """Cordoned, tainted and off the load balancers."""
    taints = {taint["key"] for taint in node["spec"].get("taints") or ()}
    off_balancers = node["metadata"]["labels"].get(labels.EXCLUDE_FROM_LOAD_BALANCERS) == "true"
    return bool(node["spec"].get("unschedulable")) and labels.DISRUPTED_TAINT in taints and off_balancers


class Watch:
    """Looks at a story again and again while it waits, and remembers what was ever true."""

    def __init__(self, story: Story, claim: Object, budget: str, least_available: int) -> None:
        self.story, self.claim, self.budget, self.least = story, name_of(claim), budget, least_available
        self.known = names(story.claims())
        self.too_few: list[int] = []
        self.marked = False
        self.half_marked = False
        self.notice: Object = {}
        self.replaced_while_pods_were_there = False

    def look(self) -> bool:
        """One look; whether the claim is gone, and all its pods run elsewhere."""
        story = self.story
        # Pods before claims: what is seen to be replaced now was replaced before the pods that are seen went.
        pods = story.pods(self.budget)
        claims = story.claims()
        node = story.nodes().get(self.claim)
        available = sum(map(is_running, pods))
        if available < self.least:
            self.too_few.append(available)
        on_node = [pod for pod in pods if pod["spec"].get("nodeName") == self.claim]
        fresh = [claim for claim in claims if name_of(claim) not in self.known]
        self.replaced_while_pods_were_there |= bool(fresh and on_node)
        if node is not None:
            self.marked |= is_marked(node)
            self.half_marked |= bool(node["spec"].get("unschedulable")) and not is_marked(node)
        for claim in claims:
            if name_of(claim) == self.claim:
                self.notice = (claim.get("status") or {}).get("notice") or self.notice
        return self.claim not in names(claims) and node is None


def spot_service(story: Story, replicas: int = 3, min_available: int = 2) -> Object:
    """A service under a budget, all of it on one spot node; returns the claim."""
    story.make_pool()
    story.apply(story.service("web", replicas, cpu="600m", minAvailable=min_available))
    story.wait_running(replicas, "web")
    story.wait(lambda: story.budget("web").get("currentHealthy") == replicas, "the budget to count its pods")
    story.wait(lambda: all(phase(claim) == "Ready" for claim in story.claims()), "its node to be open to others too")
    claims = {name_of(claim): claim for claim in story.claims()}
    holders = [pod["spec"]["nodeName"] for pod in story.pods("web")]
    [busiest] = sorted(set(holders), key=lambda node: (holders.count(node), node))[-1:]
    assert is_spot(claims[busiest])
    return claims[busiest]


def test_a_spot_notice_loses_nothing(story: Story) -> None:
    claim = spot_service(story)
    node = story.nodes()[name_of(claim)]
    watch = Watch(story, claim, "web", least_available=2)
    story.site.interrupt(name_of(claim), NOTICE_SECONDS)
    [told] = story.site.events("noticed", [name_of(claim)])
    story.wait(watch.look, "the claim and its Node to be gone", NOTICE_SECONDS + 60)
    story.wait_running(3, "web")

    deadline = datetime.fromisoformat(watch.notice["deadline"])
    assert abs((deadline - datetime.fromisoformat(told["deadline"])).total_seconds()) <= 1
    assert (watch.marked, watch.half_marked) == (True, False)
    assert watch.replaced_while_pods_were_there
    assert not watch.too_few, "the PodDisruptionBudget was not kept"
    [ended] = story.wait(lambda: story.site.events("terminated", [name_of(claim)]), "the instance to end")
    assert (ended["cause"], ended["lost_pods"]) == ("deleted", [])
    assert node["metadata"]["name"] not in story.nodes()
    fresh = [other for other in story.claims() if name_of(other) not in watch.known]
    assert fresh
    assert offering(claim) not in {offering(other) for other in fresh}, "bought again, though it was just taken back"
    happened = story.wait(lambda: notice_events(story, claim), "an Event about the notice")
    assert {"Launched", "Ready"} <= happened


def notice_events(story: Story, claim: Object) -> set[str]:
    reasons = story.events_about(name_of(claim))
    return reasons if "TerminationNotice" in reasons else set()


def test_a_taint_of_a_termination_handler_is_a_notice_too(story: Story) -> None:
    claim = spot_service(story)
    watch = Watch(story, claim, "web", least_available=2)
    story.kubectl("taint", "node", name_of(claim), f"{NTH_TAINT}=abc:NoSchedule")
    story.wait(watch.look, "the claim and its Node to be gone")
    story.wait_running(3, "web")

    assert watch.notice["source"] == NTH_TAINT
    received, deadline = (datetime.fromisoformat(watch.notice[each]) for each in ("receivedAt", "deadline"))
    assert 60 < (deadline - received).total_seconds() <= 121
    assert watch.marked
    assert watch.replaced_while_pods_were_there
    assert not watch.too_few
    [ended] = story.wait(lambda: story.site.events("terminated", [name_of(claim)]), "the instance to end")
    assert ended["lost_pods"] == []


@pytest.mark.parametrize("kind", [NODECLAIMS.name, NODES.name])
def test_deleting_a_claim_or_its_node_drains_it_first(story: Story, kind: str) -> None:
    claim = spot_service(story)
    watch = Watch(story, claim, "web", least_available=2)
    story.kubectl("delete", kind, name_of(claim), "--wait=false")
    story.wait(watch.look, "the claim and its Node to be gone")
    story.wait_running(3, "web")

    assert watch.marked
    assert watch.replaced_while_pods_were_there
    assert not watch.too_few, "the PodDisruptionBudget was not kept"
    [ended] = story.wait(lambda: story.site.events("terminated", [name_of(claim)]), "the instance to end")
    assert (ended["cause"], ended["lost_pods"]) == ("deleted", [])


def test_deleting_a_pool_drains_its_nodes_onto_another_pool(story: Story) -> None:
    claim = spot_service(story)
    other = story.make_pool(f"{story.pool}-b")
    watch = Watch(story, claim, "web", least_available=2)
    old = names(story.claims())
    story.kubectl("delete", NODEPOOLS.name, story.pool, "--wait=false")
    story.wait(watch.look, "the claim and its Node to be gone")
    running = story.wait_running(3, "web")
    story.wait(lambda: not story.pool_exists(story.pool), "the pool to be gone")

    assert not watch.too_few, "the PodDisruptionBudget was not kept"
    assert {pod["spec"]["nodeName"] for pod in running} <= names(story.claims(other))
    ended = story.wait(
        lambda: events if len(events := story.site.events("terminated", old)) == len(old) else [], "instances to end"
    )
    assert all((each["cause"], each["lost_pods"]) == ("deleted", []) for each in ended)


def test_five_nodes_that_go_at_once_are_bought_anew_once_each_and_elsewhere(story: Story) -> None:
    story.make_pool(cpu_below=3)
    story.apply(story.service("web", 5, cpu="1100m"))
    story.wait_running(5, "web")
    lost = {name_of(claim): offering(claim) for claim in story.claims()}
    assert len(lost) == 5
    for name in lost:
        story.site.interrupt(name, NOTICE_SECONDS)
    story.wait(lambda: not lost.keys() & names(story.claims()) or None, "all five to be gone", NOTICE_SECONDS + 60)
    story.wait_running(5, "web")

    fresh = story.claims()
    assert {offering(claim) for claim in fresh}.isdisjoint(lost.values())
    bought = [each for each in story.site.events("launched") if each["name"].startswith(f"{story.pool}-")]
    assert len(bought) == 5 + len(fresh) <= 10
    ended = story.site.events("terminated", lost)
    assert all((each["cause"], each["lost_pods"]) == ("deleted", []) for each in ended)
    replaced = {name for claim in fresh for name in claim["spec"].get("replaces", ())}
    assert replaced == set(lost)
    plans = {claim["spec"]["plan"] for claim in fresh}
    assert len(plans) <= 2, "they are planned together"
