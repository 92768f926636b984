"""Pods land where the plan put them: bound nodes and cost are the plan's, and every rule holds in the end.

What holds is looked up in the API server's objects by plain rules of our own, not by the planner's.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import pytest

from spotkube.model import labels as keys
from spotkube.model.resources import ResourceList
from spotkube.settings import Settings
from support import wait_until
from support_operator import SETTINGS, Object, Site, Story, is_running, is_spot, name_of, phase

ZONES = {"topologyKey": keys.ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
TIMEOUTS = {500: 240.0, 5000: 900.0}


def labelled(body: Object, name: str) -> Object:
    template = body["spec"].get("template") or next(
        body["spec"][kind]["template"] for kind in ("deployment", "job") if kind in body["spec"]
    )
    template["metadata"].setdefault("labels", {})["app"] = name
    return template["spec"]  # type: ignore[no-any-return]


def spread(body: Object, name: str, *like: str) -> Object:
    """Evenly over zones; only pods with the same value of the labels `like` are counted."""
    rule = {**ZONES, "labelSelector": {"matchLabels": {"app": name}}, "matchLabelKeys": list(like)}
    labelled(body, name)["topologySpreadConstraints"] = [rule]
    return body


def alone(body: Object, name: str) -> Object:
    """At most one of them on a node."""
    term = {"topologyKey": keys.HOSTNAME, "labelSelector": {"matchLabels": {"app": name}}}
    labelled(body, name)["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    return body


def mix(story: Story, pods: int) -> tuple[list[Object], int]:
    """Twenty Deployments and Workloads of about so many pods, and how many they are exactly."""
    part, few = pods * 6 // 100, max(4, pods // 100)
    sizes = ("100m", "250m", "500m", "750m", "1")
    bodies: list[Object] = []
    total = 0

    def add(
        name: str, count: int, make: Callable[[str, int, str], Object], *rules: Callable[[Object, str], Object]
    ) -> None:
        nonlocal total
        body = make(name, count, sizes[len(bodies) % len(sizes)])
        labelled(body, name)
        for rule in rules:
            rule(body, name)
        bodies.append(body)
        total += count

    for n in range(4):
        add(f"spread-{n}", part, story.deployment, spread)
    for n in range(3):
        add(f"alone-{n}", few, story.deployment, alone)
    pinned: Object = {"spot": {"spotFraction": 0.5}, "placement": "Pinned"}
    for n in range(4):
        rules = (spread,) if n < 2 else ()
        add(f"half-{n}", part, lambda name, count, cpu: story.service(name, count, cpu, **pinned), *rules)
    for n in range(2):
        add(f"never-{n}", part, lambda name, count, cpu: story.service(name, count, cpu, spot={"never": True}))
    for n in range(2):
        add(f"free-{n}", part, story.service, spread)
    left = pods - total
    for n in range(5):
        count = left // 5 + (n < left % 5)
        add(f"batch-{n}", count, lambda name, count, cpu: story.job(name, count, 3600, cpu))
    return bodies, total


@pytest.fixture
def patient(site: Site) -> Iterator[None]:
    """An operator with the settings that one has by default: a busy machine must not cost it the lease."""
    usual, site.settings = site.settings, {name: Settings.model_fields[name].default for name in SETTINGS}
    site.stop_operators()
    site.start_operator()
    yield
    site.settings = usual
    site.stop_operators()
    site.start_operator()


@pytest.mark.parametrize(
    "count", [pytest.param(500), pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(2400)])]
)
def test_all_pods_land_on_the_nodes_of_one_plan(
    patient: None, story: Story, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies, total = mix(story, count)
    assert (len(bodies), total) == (20, count)
    story.apply(*bodies)
    nodes_of = {"requirements": [{"key": keys.INSTANCE_CPU, "operator": "Gt", "values": ["7"]}], "cpu_below": 65}
    story.make_pool(mode="Recommend", **nodes_of)
    wait(story, lambda: recommended(story) == count, f"a recommendation for all {count} pods", count)

    began = time.monotonic()
    story.make_pool(**nodes_of)
    wait(story, lambda: all_bound(story, count), f"all {count} pods to be bound", count)
    seconds = time.monotonic() - began
    wait(story, lambda: settled(story, count), "all pods to run and all claims to be Ready", count)

    pods, claims, nodes = story.pods(), story.claims(), story.nodes()
    with capsys.disabled():
        exact = landed_exactly(pods, claims)
        print(f"\n{count} pods bound on {len(nodes)} nodes in {seconds:.1f} s from mode Apply; {exact} as planned")
    assert are_those_of_one_plan(story, claims) == []
    assert {pod["spec"]["nodeName"] for pod in pods} == nodes.keys() == {name_of(claim) for claim in claims}
    assert list(broken_rules(pods, nodes)) == []
    assert list(broken_spot_rules(bodies, pods, {name_of(claim): is_spot(claim) for claim in claims})) == []
    assert exact == count


def wait(story: Story, holds: Callable[[], bool], what: str, count: int) -> None:
    """As `Story.wait`, but thousands of pods are counted and not listed."""

    def checked() -> bool:
        story.site.check()
        return holds()

    def found() -> str:
        pods = Counter((pod["status"]["phase"], bool(pod["spec"].get("nodeName"))) for pod in story.pods())
        claims = Counter(phase(claim) for claim in story.claims())
        return f"{what}: pods (phase, bound) {dict(pods)}, claims {dict(claims)}\n{story.site.log(60)}"

    wait_until(checked, TIMEOUTS[count], found)


def recommended(story: Story) -> int:
    """How many pods the last recommendation is for."""
    plans = story.plans("Recommend")
    return int(plans[-1]["status"]["pods"]["total"]) if plans else 0


def all_bound(story: Story, count: int) -> bool:
    pods = story.pods()
    return len(pods) == count and all(pod["spec"].get("nodeName") for pod in pods)


def settled(story: Story, count: int) -> bool:
    pods = story.pods()
    running = len(pods) == count and all(pod["status"]["phase"] == "Running" for pod in pods)
    return running and all(claim["status"].get("phase") == "Ready" for claim in story.claims())


def planned_onto(claims: list[Object]) -> dict[str, str]:
    """Where each pod (its uid) was planned."""
    return {
        uid: name_of(claim)
        for claim in claims
        for uid in claim["metadata"]["annotations"][keys.PLANNED_PODS].split(",")
    }


def landed_exactly(pods: list[Object], claims: list[Object]) -> int:
    where = planned_onto(claims)
    return sum(where.get(pod["metadata"]["uid"]) == pod["spec"]["nodeName"] for pod in pods)


def are_those_of_one_plan(story: Story, claims: list[Object]) -> list[str]:
    """What differs between the nodes that stand and the one plan that bought them."""
    buying = [plan for plan in story.plans() if plan["status"]["nodes"]["add"] and plan_of_claims(plan, claims)]
    if len(buying) != 1:
        return [f"{len(buying)} plans bought nodes: {[name_of(plan) for plan in buying]}"]
    [plan] = buying
    found = []
    cost = sum(claim["spec"]["priceUSDPerHour"] for claim in claims)
    if abs(cost - plan["status"]["costAfterUSDPerHour"]) > 1e-5:
        found.append(f"the nodes cost {cost}, the plan {plan['status']['costAfterUSDPerHour']}")
    additions = Counter(offering_of(each) for each in plan["status"]["additions"])
    if additions != Counter(offering_of(claim["spec"]) for claim in claims):
        found.append("the nodes are others than those of the plan")
    return found


def plan_of_claims(plan: Object, claims: list[Object]) -> bool:
    return any(claim["spec"]["plan"] == name_of(plan) for claim in claims)


def offering_of(thing: Object) -> tuple[str, str, str]:
    return thing["instanceType"], thing["zone"], thing["capacityType"]


def broken_rules(pods: list[Object], nodes: dict[str, Object]) -> Iterator[str]:
    """Room, spreads over zones and anti-affinity on nodes, as they stand."""
    by_node: dict[str, list[Object]] = defaultdict(list)
    by_app: dict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        by_node[pod["spec"]["nodeName"]].append(pod)
        by_app[pod["metadata"]["labels"]["app"]].append(pod)
    for node, there in by_node.items():
        room = ResourceList.from_quantities(nodes[node]["status"]["allocatable"])
        used = sum((requests_of(pod) for pod in there), ResourceList({"pods": len(there)}))
        if not used.fits(room):
            yield f"{node} holds {used} of {room}"
        for app, number in Counter(pod["metadata"]["labels"]["app"] for pod in there).items():
            if app.startswith("alone-") and number > 1:
                yield f"{number} pods of {app} on {node}"
    zones = {name: node["metadata"]["labels"][keys.ZONE] for name, node in nodes.items()}
    for app, members in by_app.items():
        if not members[0]["spec"].get("topologySpreadConstraints"):
            continue
        numbers = Counter(dict.fromkeys(usable_zones(members[0], nodes), 0))
        numbers.update(zones[pod["spec"]["nodeName"]] for pod in members)
        if max(numbers.values()) - min(numbers.values()) > 1:
            yield f"{app} is spread {dict(numbers)}"


def usable_zones(pod: Object, nodes: dict[str, Object]) -> set[str]:
    """Zones of the nodes that the pod's node affinity allows, which here keeps off spot or asks for nothing."""
    kept_off = "nodeAffinity" in (pod["spec"].get("affinity") or {})
    labels = [node["metadata"]["labels"] for node in nodes.values()]
    return {one[keys.ZONE] for one in labels if not kept_off or one[keys.CAPACITY_TYPE] != "spot"}


def requests_of(pod: Object) -> ResourceList:
    [container] = pod["spec"]["containers"]
    return ResourceList.from_quantities(container["resources"]["requests"])


def broken_spot_rules(bodies: list[Object], pods: list[Object], spot: dict[str, bool]) -> Iterator[str]:
    for body in bodies:
        name = name_of(body)
        members = [pod for pod in pods if pod["metadata"]["labels"]["app"] == name]
        on_spot = sum(spot[pod["spec"]["nodeName"]] for pod in members)
        if name.startswith(("spread-", "alone-", "never-")) and on_spot:
            yield f"{on_spot} pods of {name} are on spot"
        if name.startswith("half-") and on_spot > len(members) // 2:
            yield f"{on_spot} of {len(members)} pods of {name} are on spot"


def test_pods_land_though_others_come_and_go_meanwhile(story: Story) -> None:
    """While nodes are on their way: strangers that would like their room, pods that are made anew, and a rollout."""
    bodies = [
        spread(story.deployment("spread-0", 12, "700m"), "spread-0", "pod-template-hash"),
        alone(story.deployment("alone-0", 4, "300m"), "alone-0"),
        near(story.deployment("near-0", 6, "400m"), "near-0"),
        spread(story.service("half-0", 6, "500m", spot={"spotFraction": 0.5}, placement="Pinned"), "half-0"),
        story.job("batch-0", 8, 3600, "900m"),
    ]
    for body in bodies:
        labelled(body, name_of(body))
    story.apply(*bodies)
    story.make_pool()
    story.wait(lambda: len(story.claims()) > 0, "nodes to be ordered")

    strangers = story.deployment("strange-0", 10, "100m")
    labelled(strangers, "strange-0")
    story.apply(strangers)
    for name in ("spread-0", "near-0", "batch-0"):
        story.kubectl("delete", "pod", name_of(story.pods(name)[0]), "--wait=false", "--grace-period=1")
    story.kubectl("rollout", "restart", "deployment/spread-0")

    def landed() -> list[Object]:
        pods = [pod for pod in story.pods() if "deletionTimestamp" not in pod["metadata"]]
        fresh = [pod for pod in pods if pod["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/restartedAt")]
        return pods if len(pods) == 46 and len(fresh) == 12 and all(map(is_running, pods)) else []

    pods = story.wait(landed, "all to run, those of the rollout too")
    claims, nodes = story.claims(), story.nodes()
    assert list(broken_rules(pods, nodes)) == []
    # Pods of nobody that are made anew take what is open, on spot too.
    pinned = [body for body in bodies if name_of(body).startswith("half-")]
    assert list(broken_spot_rules(pinned, pods, {name_of(claim): is_spot(claim) for claim in claims})) == []
    zones = {nodes[pod["spec"]["nodeName"]]["metadata"]["labels"][keys.ZONE] for pod in story.pods("near-0")}
    assert len(zones) == 1


def near(body: Object, name: str) -> Object:
    """All of them in one zone."""
    term = {"topologyKey": keys.ZONE, "labelSelector": {"matchLabels": {"app": name}}}
    labelled(body, name)["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    return body
