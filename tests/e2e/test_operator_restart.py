"""The operator and the cloud may die at any moment: nothing is bought twice, nothing is left behind, all goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable

from spotkube.cluster.resources import CONFIGMAPS, LEASES
from spotkube.convert.history import CONFIG_MAP, KEY, format_history, parse_history
from support_operator import Object, Site, Story, is_running, names, phase

SEED = 7
PODS_A_ROUND = 2


def let_the_lease_run_out(site: Site) -> None:
    """Whoever was killed gave no lease back; waiting for its end at each kill would take most of the test's time."""
    site.cluster.kubectl("delete", LEASES.name, "spotkube", "-n", site.namespace, "--ignore-not-found")


def owners(claims: Iterable[Object]) -> list[str]:
    return sorted(claim["metadata"]["uid"] for claim in claims)


def test_killed_at_any_moment_nothing_is_bought_twice_or_left_behind(site: Site, story: Story) -> None:
    chance = random.Random(SEED)
    story.make_pool()
    seen: dict[str, set[str]] = {"plans": set(), "claims": set(), "instances": set(), "nodes": set()}

    def now() -> dict[str, set[str]]:
        return {
            "plans": names(story.plans()),
            "claims": names(story.claims()),
            "instances": {each["name"] for each in story.instances()},
            "nodes": set(story.nodes()),
        }

    def appeared(kind: str) -> Callable[[], bool]:
        return lambda: bool(now()[kind] - seen[kind])

    def lost_answer() -> bool:
        return appeared("instances")()

    def any_moment() -> bool:
        time.sleep(chance.uniform(0, 3))
        return True

    moments = {
        "the plan is written": appeared("plans"),
        "a claim is written": appeared("claims"),
        "an instance was bought and the answer lost": lost_answer,
        "a node has joined": appeared("nodes"),
        "any": any_moment,
        "any other": any_moment,
    }
    for number, (moment, has_come) in enumerate(moments.items()):
        seen = now()
        story.apply(story.service(f"round-{number}", PODS_A_ROUND, cpu="1500m"))
        if has_come is lost_answer:
            site.set_faults(drop_answers=1)
        story.wait(has_come, f"the moment when {moment}")
        site.kill_operators()
        if has_come is lost_answer:
            site.kill_cloud()
            site.start_cloud()
        let_the_lease_run_out(site)
        site.start_operator()

    story.wait_running(PODS_A_ROUND * len(moments))
    story.wait(lambda: all(phase(claim) == "Ready" for claim in story.claims()), "all claims to be Ready")
    story.settle()
    claims = story.claims()
    # What was bought twice would stand empty, since the pool gives nothing back.
    assert {pod["spec"]["nodeName"] for pod in story.pods() if is_running(pod)} == names(claims) == set(story.nodes())
    assert sorted(each["token"] for each in story.instances()) == owners(claims)
    launched = site.events("launched", names(claims))
    assert len(launched) == len(claims)
    everything = [each for each in site.events("launched") if each["name"].startswith(story.pool)]
    assert len(everything) == len(claims), "more was bought than was kept"


def interruptions(site: Site) -> int:
    """All that the operator has kept of them."""
    stored = site.reader.get(CONFIGMAPS, CONFIG_MAP, site.namespace) or {"data": {KEY: format_history((), ())}}
    return sum(record.interruptions for record in parse_history(stored["data"][KEY]).records.values())


def test_a_drain_goes_on_where_it_was_left(site: Site, story: Story) -> None:
    story.make_pool()
    story.apply(story.service("web", 3, cpu="600m", minAvailable=2))
    story.wait_running(3)
    [victim, *_] = sorted(names(story.wait_ready_claims(len(story.claims()))) & nodes_of(story.pods()))
    before = interruptions(site)
    site.interrupt(victim, notice_seconds=60)

    def stored() -> Object:
        return ((story.claim(victim) or {}).get("status") or {}).get("notice") or {}

    deadline = story.wait(stored, "the notice to be stored")["deadline"]
    site.kill_operators()
    let_the_lease_run_out(site)
    site.start_operator()
    if (claim := story.claim(victim)) is not None:
        assert claim["status"]["notice"]["deadline"] == deadline
    story.wait_gone(victim)
    story.wait_running(3)
    [ended] = site.events("terminated", [victim])
    assert (ended["cause"], ended["lost_pods"]) == ("deleted", [])
    story.wait(lambda: interruptions(site) == before + 1, "the interruption to be kept, once")


def nodes_of(pods: Iterable[Object]) -> set[str]:
    return {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}


def test_another_replica_goes_on_when_the_leader_dies(site: Site, story: Story) -> None:
    story.make_pool()
    first = site.operators[0]
    second = site.start_operator()

    def leads(pid: int) -> bool:
        lease = site.reader.get(LEASES, "spotkube", site.namespace) or {}
        return f"-{pid}-" in (lease.get("spec", {}).get("holderIdentity") or "")

    story.wait(lambda: leads(first.pid), "the first replica to lead")
    story.apply(story.service("before", 1))
    story.wait_running(1, "before")
    assert leads(first.pid)

    story.apply(story.service("during", 2, cpu="1500m"))
    first.kill()
    site.operators.remove(first)
    story.wait_running(2, "during")
    assert leads(second.pid)
    story.wait(lambda: all(phase(claim) == "Ready" for claim in story.claims()), "all claims to be Ready")
    story.settle()
    claims = story.claims()
    assert sorted(each["token"] for each in story.instances()) == owners(claims)
    assert nodes_of(pod for pod in story.pods() if is_running(pod)) == names(claims)
