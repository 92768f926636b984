"""The Node of an instance as the API server gets it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from fakecloud import START, make_machine

from spotkube.providers.local.nodes import NOTICE_TAINT, format_time, node_manifest, notice_patch


def test_the_node_has_what_was_ordered() -> None:
    machine = make_machine()
    node = node_manifest(machine)
    assert node["metadata"]["labels"] == dict(machine.order.labels) | {"kubernetes.io/hostname": "node-1"}
    assert node["metadata"]["annotations"] == {"kwok.x-k8s.io/node": "fake"}
    assert node["spec"] == {
        "providerID": "spotkube-local:///us-east-1a/i-1",
        "taints": [
            {"key": "dedicated", "value": "a", "effect": "NoSchedule"},
            {"key": "busy", "value": "", "effect": "PreferNoSchedule"},
        ],
    }
    assert node["status"]["allocatable"] == {"cpu": "1930m", "memory": "7199744Ki", "pods": "29"}
    assert node["status"]["capacity"] == {"cpu": "2", "memory": "8388608Ki", "pods": "29"}
    (ready,) = node["status"]["conditions"]
    # Without any, Kubernetes would open the node before it is Ready.
    assert (ready["type"], ready["status"]) == ("Ready", "False")


def test_how_soon_it_turns_ready_is_left_to_the_cluster_or_told() -> None:
    machine = make_machine()
    assert node_manifest(machine, 0.0)["metadata"]["annotations"]["spotkube.io/ready-delay"] == "0s"
    assert node_manifest(machine, 90.0)["metadata"]["annotations"]["spotkube.io/ready-delay"] == "90s"


def read_node(*taints: Any) -> Any:
    return SimpleNamespace(
        metadata=SimpleNamespace(resource_version="7"), spec=SimpleNamespace(taints=list(taints) or None)
    )


def taint(key: str, value: str | None = None, time_added: datetime | None = None) -> Any:
    return SimpleNamespace(key=key, value=value, effect="NoExecute", time_added=time_added)


def test_a_notice_keeps_the_taints_that_are_there_and_asks_for_the_version_it_saw() -> None:
    machine = replace(make_machine(), deadline=START + 120, notice_id="spot-itn-1")
    added = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
    patch = notice_patch(read_node(taint("a", "b"), taint("c", time_added=added), taint(NOTICE_TAINT, "old")), machine)
    assert patch["metadata"] == {
        "resourceVersion": "7",
        "annotations": {"spotkube.io/termination-deadline": "2027-01-15T08:02:00.000Z"},
    }
    assert patch["spec"]["taints"] == [
        {"key": "a", "value": "b", "effect": "NoExecute"},
        {"key": "c", "value": "", "effect": "NoExecute", "timeAdded": "2027-01-15T08:00:00+00:00"},
        {"key": NOTICE_TAINT, "value": "spot-itn-1", "effect": "NoSchedule"},
    ]
    assert [each["key"] for each in notice_patch(read_node(), machine)["spec"]["taints"]] == [NOTICE_TAINT]


def test_times_are_written_in_utc() -> None:
    assert format_time(START + 0.25) == "2027-01-15T08:00:00.250Z"
