"""What drains are told by: Workloads, pods that are going or that know, and volumes on nodes."""

from __future__ import annotations

from typing import Any

import pytest

from spotkube.convert.pods import to_pod
from spotkube.convert.storage import attached_to_nodes, to_attachment
from spotkube.convert.termination import termination_rules
from spotkube.model.labels import POD_TEMPLATE_HASH, RELEASED, TERMINATION_DEADLINE
from spotkube.model.pods import Pod
from spotkube.model.termination import TerminationRule
from spotkube.model.volumes import NodeVolume, Volume
from unit.workload_builders import make_workload

AT, SECONDS = "2027-01-15T08:00:00Z", 1_800_000_000.0


def pod(**metadata: Any) -> Pod:
    found = to_pod({"metadata": {"name": "web", "namespace": "shop", "uid": "u", **metadata}, "spec": {}})
    assert found is not None
    return found


class TestPods:
    def test_when_the_grace_of_one_that_is_going_is_over(self) -> None:
        assert pod(deletionTimestamp=AT).ends_at == SECONDS
        assert pod().ends_at == 0

    @pytest.mark.parametrize(("written", "told"), [(AT, SECONDS), ("soon", 0.0), ("", 0.0)])
    def test_what_it_was_told(self, written: str, told: float) -> None:
        assert pod(annotations={TERMINATION_DEADLINE: written}).told_deadline == told

    def test_whether_it_was_released(self) -> None:
        assert pod(labels={POD_TEMPLATE_HASH: RELEASED}).released
        assert not pod(labels={POD_TEMPLATE_HASH: "5d44795994"}).released


class TestWorkloads:
    def test_those_that_ask_for_something(self) -> None:
        asks = make_workload("web", termination={"grace": "90s", "noticeAnnotation": "a/b", "noticeTime": "1m"})
        surges = make_workload("api", termination={"surge": True})

        assert termination_rules([asks, surges, make_workload("quiet")]) == {
            "shop/web": TerminationRule(90, "a/b", 60),
            "shop/api": TerminationRule(surge=True),
        }


class TestVolumes:
    def test_those_of_each_node_with_whom_they_are_for(self) -> None:
        attachments = [
            to_attachment({"spec": {"nodeName": node, "source": {"persistentVolumeName": name}}})
            for node, name in (("n", "pv-1"), ("n", "unknown"), ("m", "pv-1"))
        ]
        known = [one for one in attachments if one is not None]

        assert attached_to_nodes(known, [Volume("pv-1", claim=("shop", "data"))]) == {
            "n": (NodeVolume("n", "pv-1", ("shop", "data")), NodeVolume("n", "unknown")),
            "m": (NodeVolume("m", "pv-1", ("shop", "data")),),
        }
        assert attached_to_nodes([], []) == {}

    def test_one_that_is_written_in_a_pod_is_nobodys(self) -> None:
        assert to_attachment({"spec": {"nodeName": "n", "source": {"inlineVolumeSpec": {}}}}) is None
