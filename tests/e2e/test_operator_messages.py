"""Notices by a queue of messages, as EventBridge and SQS bring them: moto's server stands in for AWS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spotkube.model import labels
from support_moto import CREDENTIALS, REGION, MotoQueue, interruption, moto_server
from support_operator import Site, Story, name_of, names


@pytest.fixture
def queue(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[MotoQueue]:
    """The operator reads it."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with moto_server() as address:
        queue, before = MotoQueue(address, "notices"), site.settings
        site.stop_operators()
        site.settings = {**before, "notice_queue_url": queue.url, "notice_queue_region": REGION}
        site.start_operator()
        yield queue
        site.stop_operators()
        site.settings = before
        site.start_operator()


def instance_of(story: Story, claim: str) -> str:
    [instance] = [each for each in story.instances() if each["name"] == claim]
    return str(instance["provider_id"]).rpartition("/")[2]


def test_drained_and_replaced_before_the_message_is_deleted(story: Story, queue: MotoQueue) -> None:
    story.make_pool()
    story.apply(story.service("web", 2, cpu="600m"))
    story.wait_running(2, "web")
    name = name_of(story.claims()[0])
    instance = instance_of(story, name)
    for body in ("{", '{"detail-type": "Weather"}', interruption("i-0foreign", "event-0")):
        queue.send(body)
    queue.send(interruption(instance))
    queue.send(interruption(instance))  # once more

    notice = story.wait(
        lambda: ((story.claim(name) or {}).get("status") or {}).get("notice"), "the notice to be stored"
    )
    assert (notice["id"], notice["source"]) == ("event-1", "EC2 Spot Instance Interruption Warning")
    assert queue.left() >= 1
    story.wait(lambda: name not in names(story.claims()) or None, "the claim to be gone")
    story.wait_running(2, "web")
    story.wait(lambda: queue.left() == 1 or None, "all messages to be deleted but that of another's instance")
    [ended] = story.site.events("terminated", [name])
    assert (ended["cause"], ended["lost_pods"]) == ("deleted", [])


def test_a_recommendation_closes_the_node_and_moves_nothing(story: Story, queue: MotoQueue) -> None:
    story.make_pool()
    story.apply(story.service("web", 1, cpu="600m"))
    story.wait_running(1, "web")
    name = name_of(story.claims()[0])
    queue.send(interruption(instance_of(story, name), kind="EC2 Instance Rebalance Recommendation"))

    def is_avoided() -> bool | None:
        taints = story.nodes()[name]["spec"].get("taints") or ()
        return any(taint["key"] == labels.AVOID_TAINT for taint in taints) or None

    story.wait(is_avoided, "the node to be closed to new pods")
    story.wait(lambda: queue.left() == 0 or None, "the message to be deleted, since it is stored on the claim")
    claim = story.claim(name)
    assert claim is not None
    assert claim["status"]["warning"]["kind"] == "RebalanceRecommendation"
    assert "deletionTimestamp" not in claim["metadata"]
    assert [pod["spec"]["nodeName"] for pod in story.pods("web")] == [name]


def test_a_recommendation_moves_what_a_notice_would_cut_off_where_the_pool_wants_it(
    story: Story, queue: MotoQueue
) -> None:
    story.make_pool(spot={"rebalance": "Replace"})
    service = story.service("web", 1, cpu="600m")
    service["spec"]["deployment"]["template"]["spec"]["terminationGracePeriodSeconds"] = 300
    story.apply(service)
    story.wait_running(1, "web")
    name = name_of(story.claims()[0])
    queue.send(interruption(instance_of(story, name), kind="EC2 Instance Rebalance Recommendation"))

    story.wait_gone(name)
    story.wait_running(1, "web")
    assert "RebalanceRecommendation" in story.events_about(name)
    assert [claim["spec"].get("replaces") for claim in story.claims()] == [[name]]
    [ended] = story.site.events("terminated", [name])
    assert (ended["cause"], ended["lost_pods"]) == ("deleted", [])
