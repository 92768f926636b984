"""What may be bought: limits that always hold, and modes in which nothing is bought."""

from __future__ import annotations

from spotkube.cluster.resources import NODEPOOLS
from spotkube.model.resources import ResourceList
from support_operator import Object, Site, Story, condition, is_leaving, name_of, names, refused

# Three pods, each of which fills more than half of the largest node that the limit leaves room for.
LIMITS = {
    "nodes": {"nodes": 2},
    "resources": {"resources": {"cpu": "4"}},
    "dollars": {"usdPerHour": 0.25},
}
ONLY_LARGE_ON_DEMAND = (
    {"key": "spotkube.io/instance-size", "operator": "In", "values": ["large"]},
    {"key": "spotkube.io/capacity-type", "operator": "In", "values": ["on-demand"]},
)


def excess(limits: Object, claims: list[Object]) -> list[str]:
    """Which limits the claims are beyond, those with a notice not counted."""
    counted = [claim for claim in claims if "notice" not in (claim.get("status") or {})]
    cpu = sum(ResourceList.from_quantities(claim["spec"]["allocatable"])["cpu"] for claim in counted)
    used = {
        "nodes": len(counted),
        "usdPerHour": sum(claim["spec"]["priceUSDPerHour"] for claim in counted),
        "resources": cpu / 1000,
    }
    allowed = {**limits, "resources": float(limits.get("resources", {}).get("cpu", "inf"))}
    return [f"{name} {used[name]} of {limit}" for name, limit in allowed.items() if used[name] > limit]


def test_limits_hold_and_who_is_left_out_is_told(site: Site, story: Story) -> None:
    parts = {name: Story(site, story.namespace, f"-{name}") for name in LIMITS}
    for name, part in parts.items():
        part.make_pool(requirements=ONLY_LARGE_ON_DEMAND, limits=LIMITS[name])
        part.apply(part.service(name, 3, cpu="1500m"))
        story.pools += part.pools
    beyond: list[str] = []

    def told(name: str) -> str:
        for each, part in parts.items():
            beyond.extend(excess(LIMITS[each], part.claims()))
        running = [pod for pod in story.pods(name) if pod["spec"].get("nodeName")]
        return refused(story.status(name)) if len(running) == 2 else ""

    for name, part in parts.items():
        reason = story.wait(lambda name=name: told(name), f"two pods of {name} to run and the third one's wait be told")
        assert "limit" in reason
        assert len(part.claims()) == 2
        plan = story.wait(lambda name=name: plan_that_left_out(story, name), "a plan that says who is left out")
        groups = {each["name"]: each for each in plan["status"]["unplaceable"]}
        [left_out] = [each for key, each in groups.items() if key.startswith(f"{story.namespace}/{name}")]
        assert left_out["count"] == 1
        assert "limit" in left_out["reason"]
        assert condition(plan["status"], "Solved")["status"] == "False"

    full = parts["nodes"]
    story.wait(
        lambda: condition(full.pool_status(), "LimitReached").get("status") == "True", "the pool to say it is full"
    )

    # Raised, the rest comes.
    for part in parts.values():
        part.make_pool(requirements=ONLY_LARGE_ON_DEMAND)
    story.wait_running(9)
    assert not beyond


def plan_that_left_out(story: Story, name: str) -> Object:
    for plan in reversed(story.plans()):
        groups = plan["status"].get("unplaceable") or ()
        if any(group["name"].startswith(f"{story.namespace}/{name}") for group in groups):
            return plan
    return {}


def test_a_full_pool_replaces_a_noticed_node_and_no_more(story: Story) -> None:
    limits = {"nodes": 2}
    story.make_pool(
        limits=limits, requirements=[{"key": "spotkube.io/instance-size", "operator": "In", "values": ["large"]}]
    )
    story.apply(story.service("web", 2, cpu="1500m"))
    story.wait_running(2)
    claims = story.wait_ready_claims(2)
    assert all(claim["spec"]["capacityType"] == "spot" for claim in claims)
    leaving, staying = names(claims[:1]), names(claims[1:])
    beyond: list[str] = []
    story.site.interrupt(*leaving, notice_seconds=40)

    def replaced() -> bool:
        now = story.claims()
        beyond.extend(excess(limits, now))
        fresh = [claim for claim in now if not is_leaving(claim)]
        return not leaving & names(now) and len(fresh) == 2 and staying <= names(fresh)

    story.wait(replaced, "the noticed claim to be replaced")
    story.wait_running(2)
    assert not [text for text in beyond if "nodes" in text]


def test_recommend_buys_nothing_paused_plans_nothing_and_apply_buys(story: Story) -> None:
    story.make_pool(mode="Paused")
    story.make_pool(f"{story.pool}-probe", for_probes=True)
    story.apply(story.service("web", 2))
    story.settle()
    plans_while_paused = names(story.plans("Recommend")) | names(story.plans())
    assert not [plan for plan in story.plans("Recommend") if adds_to(plan, story.pool)]

    story.kubectl("patch", NODEPOOLS.name, story.pool, "--type=merge", '-p={"spec":{"mode":"Recommend"}}')
    plan = story.wait(lambda: recommendation(story), "a recommendation")
    assert name_of(plan) not in plans_while_paused
    status = plan["status"]
    assert status["nodes"]["add"] == len(status["additions"]) > 0
    assert all("claim" not in each and each["reason"] for each in status["additions"])
    assert 0 < status["lowerBoundUSDPerHour"] <= status["costAfterUSDPerHour"] + 1e-9
    assert status["costNowUSDPerHour"] == 0
    assert (condition(status, "Applied")["status"], condition(status, "Applied")["reason"]) == (
        "False",
        "RecommendOnly",
    )
    story.wait(lambda: "Apply" in story.status("web").get("waitingFor", ""), "the Workload to be told what to do")
    assert not story.claims()
    assert not story.instances()
    assert not [pod for pod in story.pods() if pod["spec"].get("nodeName")]

    story.kubectl("patch", NODEPOOLS.name, story.pool, "--type=merge", '-p={"spec":{"mode":"Apply"}}')
    story.wait_running(2, "web")
    assert story.claims()


def recommendation(story: Story) -> Object:
    return next((plan for plan in story.plans("Recommend") if adds_to(plan, story.pool)), {})


def adds_to(plan: Object, pool: str) -> bool:
    return any(each["nodePool"] == pool for each in plan["status"].get("additions") or ())
