"""Work of all kinds comes to run on nodes that were bought for it, and nodes are given back when none is left."""

from __future__ import annotations

import json

from spotkube.cluster.resources import WORKLOADS
from spotkube.model import labels
from spotkube.model.resources import ResourceList
from support_operator import Object, Site, Story, condition, is_running, is_spot, name_of, names, phase


def test_work_of_all_kinds_runs_on_nodes_that_were_bought_for_it(story: Story) -> None:
    story.make_pool()
    story.apply(
        story.service("cart", 4, spot={"onDemandBase": 1}, minAvailable="50%"),
        story.service("pay", 2, spot={"never": True}),
        story.workload(
            "db",
            statefulSet={"replicas": 2, "podManagementPolicy": "Parallel", "template": story.template(cpu="700m")},
        ),
        story.job("batch", pods=3, seconds=600, cpu="1"),
        story.deployment("target", 2),
        story.workload("adopted", targetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "target"}),
        story.deployment("nobodys", 3),
    )
    pods = story.wait_running(16)
    claims = {name_of(claim): claim for claim in story.claims()}
    # Pods may move on from a claim that proved needless: only what holds pods is looked at.
    used = {pod["spec"]["nodeName"] for pod in pods}
    assert used <= claims.keys()

    holds_what_was_promised(story, claims)
    was_bound_by_kube_scheduler(story, pods)
    keeps_the_spot_rules(story, claims)
    tells_the_truth_in_statuses(story, claims)
    tells_what_was_decided(story)


def holds_what_was_promised(story: Story, claims: dict[str, Object]) -> None:
    nodes = story.nodes()
    for name, claim in claims.items():
        holds = ResourceList.from_quantities(nodes[name]["status"]["allocatable"])
        assert holds == ResourceList.from_quantities(claim["spec"]["allocatable"])


def was_bound_by_kube_scheduler(story: Story, pods: list[Object]) -> None:
    names = {name_of(pod) for pod in pods}

    def told() -> dict[str, str]:
        events = json.loads(story.kubectl("get", "events", "--field-selector=reason=Scheduled", "-o", "json"))["items"]
        return {event["involvedObject"]["name"]: event["reportingComponent"] for event in events}

    # kube-scheduler writes its Events after it has bound the pods.
    story.wait(lambda: names <= told().keys(), "the Events of all pods")
    by = told()
    assert {by[name] for name in names} == {"default-scheduler"}


def keeps_the_spot_rules(story: Story, claims: dict[str, Object]) -> None:
    def on_spot(name: str) -> list[bool]:
        return [is_spot(claims[pod["spec"]["nodeName"]]) for pod in story.pods(name)]

    assert not any(on_spot("pay") + on_spot("nobodys"))
    assert on_spot("cart").count(False) >= 1
    assert any(on_spot("cart") + on_spot("db") + on_spot("batch")), "nothing is on spot, though it is the cheapest"


def tells_the_truth_in_statuses(story: Story, claims: dict[str, Object]) -> None:
    for name, wanted in {"cart": 4, "pay": 2, "db": 2, "batch": 3, "adopted": 2}.items():
        status = story.wait(lambda name=name: settled_status(story, name), f"status of {name} to say that it runs")
        pods = story.pods("target" if name == "adopted" else name)
        on_spot = [pod for pod in pods if is_spot(claims[pod["spec"]["nodeName"]])]
        assert (status["replicas"], status["readyReplicas"]) == (wanted, wanted)
        assert status["nodes"] == len({pod["spec"]["nodeName"] for pod in pods})
        assert status["spotReplicas"] == len(on_spot)
        assert 0 < status["usdPerHour"] <= sum(claim["spec"]["priceUSDPerHour"] for claim in claims.values())
        assert condition(status, "Placed")["status"] == "True"

    price = sum(claim["spec"]["priceUSDPerHour"] for claim in claims.values())
    pool = story.wait(
        lambda: status if (status := story.pool_status()).get("readyNodes") == len(claims) else {},
        "the pool to count its nodes",
    )
    assert abs(pool["usdPerHour"] - price) < 1e-5

    # What kubectl shows without asking for more.
    head, *rows = story.kubectl("get", labels_of("workloads")).splitlines()
    assert head.split() == ["NAME", "SOURCE", "READY", "PODS", "SPOT%", "$/H", "WAITING", "AGE"]
    [pay] = [row.split() for row in rows if row.startswith("pay ")]
    assert pay[:5] == ["pay", "Deployment/pay", "2", "2", "0"]
    head, row = story.kubectl("get", labels_of("nodepools"), story.pool).splitlines()
    assert row.split()[:4] == [story.pool, "Apply", str(len(claims)), str(len(claims))]
    _, *rows = story.kubectl("get", labels_of("nodeclaims"), "-l", f"{labels.NODEPOOL}={story.pool}").splitlines()
    for row in rows:
        name, pool, type_, zone, capacity, price_text, shown_phase, node, _ = row.split()
        spec = claims[name]["spec"]
        assert (pool, type_, zone) == (story.pool, spec["instanceType"], spec["zone"])
        assert (capacity, float(price_text)) == (spec["capacityType"], spec["priceUSDPerHour"])
        assert (shown_phase, node) == ("Ready", name)


def settled_status(story: Story, name: str) -> Object:
    status = story.status(name)
    fine = condition(status, "Ready").get("status") == "True" or status.get("readyReplicas") == status.get("replicas")
    return status if fine and condition(status, "Placed").get("status") == "True" else {}


def tells_what_was_decided(story: Story) -> None:
    claims = story.claims()
    for name in {claim["spec"]["plan"] for claim in claims}:
        [plan] = [plan for plan in story.plans() if name_of(plan) == name]
        status = plan["status"]
        bought = [claim for claim in claims if claim["spec"]["plan"] == name]
        assert {each["claim"] for each in status["additions"]} >= names(bought)
        assert all(each["reason"] for each in status["additions"])
        assert status["nodes"]["add"] == len(status["additions"])
        cost, bound = status["costAfterUSDPerHour"], status["lowerBoundUSDPerHour"]
        assert 0 < bound <= cost + 1e-9
        assert abs(status["gapPercent"] - 100 * (cost / bound - 1)) < 0.01
        counts = status["pods"]
        assert counts["placed"] + counts["unplaceable"] == counts["total"]
        assert condition(status, "Applied")["status"] == "True"
        assert plan["spec"]["trigger"]
    head, *_ = story.kubectl("get", labels_of("capacityplans")).splitlines()
    assert head.split()[:5] == ["NAME", "MODE", "ADD", "KEEP", "DRAIN"]
    assert "GAP %" in head
    assert "BOUND $/H" in head


def labels_of(plural: str) -> str:
    return f"{plural}.{labels.GROUP}"


def test_what_is_there_is_used_before_anything_is_bought(story: Story) -> None:
    story.make_pool()
    story.apply(story.service("first", 1, cpu="500m"))
    story.wait_running(1, "first")
    [claim] = story.wait_ready_claims(1)

    free = ResourceList.from_quantities(claim["spec"]["allocatable"])["cpu"] - 500
    assert free >= 1000, "the node that was chosen has no room to test with"
    story.apply(story.service("second", 2, cpu="400m"), story.job("third", pods=1, seconds=600, cpu="200m"))
    pods = story.wait_running(4)
    story.settle()
    assert {pod["spec"]["nodeName"] for pod in pods} == {name_of(claim)}
    assert names(story.claims()) == {name_of(claim)}
    assert len(story.instances()) == 1


def test_empty_nodes_are_given_back(story: Story) -> None:
    story.make_pool(after="2s")
    story.apply(story.service("short", 2, cpu="1500m"), story.service("long", 1, cpu="1500m", spot={"never": True}))
    story.wait_running(3)
    [kept] = [pod["spec"]["nodeName"] for pod in story.pods("long")]
    emptied = {pod["spec"]["nodeName"] for pod in story.pods("short")} - {kept}
    assert emptied
    story.kubectl("delete", WORKLOADS.name, "short")
    for claim in emptied:
        story.wait_gone(claim)
    assert kept in names(story.claims())
    assert is_running(story.wait_running(1, "long")[0])
    drains = [drain for plan in story.plans() for drain in plan["status"].get("drains", [])]
    assert emptied <= {drain["claim"] for drain in drains if "consolidateAfter" in drain["reason"]}


def test_broken_objects_are_told_and_hold_up_nobody(story: Story) -> None:
    story.make_pool()
    bad_quantity = story.service("bad-quantity", 1)
    bad_quantity["spec"]["deployment"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "much"}}
    bad_image = story.service("bad-type", 1)
    bad_image["spec"]["deployment"]["template"]["spec"]["containers"][0]["image"] = {"name": "none"}
    bad_tolerations = story.service("bad-tolerations", 1)
    bad_tolerations["spec"]["deployment"]["template"]["spec"]["tolerations"] = "all of them"
    nowhere = story.workload("nowhere", targetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "absent"})
    unmodelled = story.service("unmodelled", 1)
    unmodelled["spec"]["deployment"]["template"]["spec"]["resourceClaims"] = [
        {"name": "device", "resourceClaimName": "device"}
    ]
    story.apply(bad_quantity, bad_image, bad_tolerations, nowhere, unmodelled, story.service("good", 2))

    story.wait_running(2, "good")
    for name in ("bad-quantity", "bad-type", "bad-tolerations", "nowhere"):
        status = story.wait(lambda name=name: told_broken(story, name), f"Workload {name} to be told what is wrong")
        assert condition(status, "Placed").get("status") != "True"
    told = story.wait(lambda: resource_claims_told(story), "Workload unmodelled to be told why")
    assert "esource" in told

    # Put right, it runs; nothing had to be restarted.
    story.apply(story.service("bad-quantity", 1))
    story.wait_running(1, "bad-quantity")
    story.wait(lambda: condition(story.status("bad-quantity"), "Ready").get("status") == "True", "it to be Ready")


def told_broken(story: Story, name: str) -> Object:
    """The status, once the Ready condition names the mistake in words."""
    status = story.status(name)
    ready = condition(status, "Ready")
    return status if ready.get("status") == "False" and ready.get("message") and ready.get("reason") else {}


def resource_claims_told(story: Story) -> str:
    text = str(story.status("unmodelled").get("waitingFor") or "")
    return text if "laim" in text else ""


def test_nodes_and_pods_stay_when_the_operator_is_taken_away(site: Site, story: Story) -> None:
    story.make_pool(after="1s")
    story.apply(story.service("web", 2, cpu="1"), story.job("batch", pods=1, seconds=600))
    before = {name_of(pod): pod["spec"]["nodeName"] for pod in story.wait_running(3)}
    # Planned pods run on a Node before it is open to others, and only an operator opens it.
    claims = names(story.wait_ready_claims(len(story.claims())))
    site.stop_operators()

    assert {name_of(pod): pod["spec"]["nodeName"] for pod in story.wait_running(3)} == before
    assert names(story.claims()) == story.nodes().keys() == claims
    assert {each["name"] for each in story.instances()} == claims
    # What was made for Workloads heals without us, where there is room.
    [victim, *_] = story.pods("web")
    story.kubectl("delete", "pod", name_of(victim), "--wait=false")
    story.wait(lambda: name_of(victim) not in names(story.pods("web")), "the pod to end")
    healed = story.wait_running(2, "web")
    assert {pod["spec"]["nodeName"] for pod in healed} <= claims

    site.start_operator()
    story.settle()
    assert all(phase(claim) == "Ready" for claim in story.claims())
    assert names(story.claims()) == claims
