"""The cloud is not what one wishes: sold out, machines that never join or vanish, machines that nobody owns."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from spotkube.cluster.resources import NODES
from spotkube.model import labels
from support import wait_until
from support_operator import PATIENCE_SECONDS, Site, Story, name_of, names, offering

CHEAPEST, NEXT = "m7i.large", "m6i.large"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
ONLY_THESE = (
    {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [CHEAPEST, NEXT]},
    {"key": labels.CAPACITY_TYPE, "operator": "In", "values": ["spot"]},
)


@pytest.fixture(scope="module", autouse=True)
def orphan(site: Site) -> Iterator[str]:
    """A machine of ours that no claim speaks of, as if its claim had been lost; it is there while the others run."""
    name = f"orphan-{secrets.token_hex(4)}"
    resources = {"cpu": "2", "memory": "4Gi", "pods": "20"}
    order = {
        "token": secrets.token_hex(8),
        "name": name,
        "offering": f"{CHEAPEST}/{ZONES[0]}/spot",
        "capacity": resources,
        "allocatable": resources,
        "labels": {labels.NODECLAIM: name, labels.NODEPOOL: "lost"},
        "taints": [{"key": labels.UNREGISTERED_TAINT, "effect": "NoSchedule"}],
        "tags": {labels.NODECLAIM: name, labels.NODEPOOL: "lost"},
    }
    site.call_cloud("POST", "/v1/instances", order)
    yield name


@pytest.fixture(scope="module")
def stricken(site: Site) -> Iterator[tuple[Story, str]]:
    """A story in which a machine died without a notice, and the machine's name.

    Kubernetes leaves the pods of a node that vanished alone for most of a minute, so that others are told meanwhile.
    """
    namespace = f"test-{secrets.token_hex(4)}"
    site.cluster.kubectl("create", "namespace", namespace)
    story = Story(site, namespace)
    story.make_pool(requirements=ONLY_THESE)
    story.apply(story.service("web", 2, cpu="700m"), story.job("batch", pods=1, seconds=600, cpu="200m"))
    story.wait_running(3)
    [victim, *_] = [pod["spec"]["nodeName"] for pod in story.pods("web")]
    [instance] = [each for each in story.instances() if each["name"] == victim]
    site.call_cloud("DELETE", f"/v1/instances/{instance['provider_id'].rpartition('/')[2]}")
    yield story, victim
    story.leave()
    site.cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_where_the_cloud_is_sold_out_something_else_is_bought(
    site: Site, story: Story, stricken: tuple[Story, str]
) -> None:
    sold_out = {f"{CHEAPEST}/{zone}/spot": 0 for zone in ZONES}
    site.set_capacity(sold_out)
    story.make_pool(requirements=ONLY_THESE)
    story.apply(story.service("web", 1))
    [pod] = story.wait_running(1)
    site.set_capacity(dict.fromkeys(sold_out))

    [claim] = [claim for claim in story.claims() if name_of(claim) == pod["spec"]["nodeName"]]
    assert claim["spec"]["instanceType"] == NEXT
    refused = [each for each in site.events("refused") if each["name"].startswith(story.pool)]
    assert refused
    assert {each["offering"] for each in refused} <= sold_out.keys()
    story.wait(lambda: names(story.claims()) == {name_of(claim)}, "the claims that got nothing to be gone")
    assert len(story.instances()) == 1


def test_a_machine_that_never_joins_is_given_back(site: Site, story: Story) -> None:
    site.set_faults(never_register=1)
    story.make_pool(requirements=ONLY_THESE, readyTimeout="8s")
    story.apply(story.service("web", 1))
    [first] = story.wait(story.claims, "a claim")
    story.wait_gone(name_of(first))
    [pod] = story.wait_running(1)

    [claim] = [claim for claim in story.claims() if name_of(claim) == pod["spec"]["nodeName"]]
    assert offering(claim) != offering(first)
    [launched] = site.events("launched", [name_of(first)])
    assert not launched["joins"]
    assert "NotReadyInTime" in story.events_about(name_of(first))
    assert {each["name"] for each in story.instances()} == names(story.claims())


def test_a_machine_that_nobody_owns_is_ended(site: Site, orphan: str) -> None:
    def gone() -> bool:
        alive = orphan in [each["name"] for each in site.instances()]
        return not alive and site.reader.get(NODES, orphan) is None

    wait_until(gone, PATIENCE_SECONDS, lambda: f"instance {orphan} to be ended\n{site.log()}")
    [ended] = site.events("terminated", [orphan])
    assert ended["cause"] == "deleted"


def test_a_machine_that_dies_without_notice_is_replaced(stricken: tuple[Story, str]) -> None:
    story, victim = stricken
    story.wait_gone(victim)

    def moved() -> list[object]:
        return [pod for pod in story.pods() if pod["spec"].get("nodeName", victim) != victim]

    story.wait(lambda: len(moved()) == 3, "its pods to be made anew elsewhere", 2 * PATIENCE_SECONDS)
    running = story.wait_running(3)
    claims = names(story.claims())
    assert victim not in claims
    assert {pod["spec"]["nodeName"] for pod in running} <= claims
    assert {each["name"] for each in story.instances()} == claims
    # Whichever is seen first: the cloud ends the instance, and deletes its Node.
    assert {"InstanceGone", "NodeDeleted"} & story.events_about(victim)
