"""Termination notices as the clouds and their agents write them onto Nodes."""

from __future__ import annotations

from typing import Any

import pytest

from fake_kube import START, rfc3339
from spotkube.convert.nodes import to_node
from spotkube.convert.notices import notice_of
from spotkube.model.labels import TERMINATION_DEADLINE
from spotkube.model.notices import Notice, NoticeKind

NTH = "aws-node-termination-handler"


Object = dict[str, Any]


def make_node(
    *taints: str,
    labels: dict[str, str] | None = None,
    conditions: tuple[str, ...] = (),
    annotations: Object | None = None,
) -> dict[str, Any]:
    return {
        "metadata": {"name": "n", "uid": "u", "labels": labels or {}, "annotations": annotations or {}},
        "spec": {"taints": [{"key": key, "effect": "NoSchedule", "value": "v"} for key in taints]},
        "status": {"conditions": [{"type": type_, "status": "True"} for type_ in conditions]},
    }


def notice_on(*taints: str, **rest: Any) -> Notice:
    notice = notice_of(make_node(*taints, **rest))
    assert notice is not None
    return notice


@pytest.mark.parametrize(
    ("taint", "kind", "lead_seconds", "ends"),
    [
        (f"{NTH}/spot-itn", NoticeKind.SPOT_INTERRUPTION, 120, True),
        (f"{NTH}/scheduled-maintenance", NoticeKind.SCHEDULED_MAINTENANCE, 600, True),
        (f"{NTH}/asg-lifecycle-termination", NoticeKind.INSTANCE_TERMINATION, 120, True),
        (f"{NTH}/rebalance-recommendation", NoticeKind.REBALANCE_RECOMMENDATION, 600, False),
        ("cloud.google.com/impending-node-termination", NoticeKind.SPOT_INTERRUPTION, 30, True),
        ("remediator.kubernetes.azure.com/unschedulable", NoticeKind.SPOT_INTERRUPTION, 30, True),
        ("karpenter.sh/disrupted", NoticeKind.INSTANCE_TERMINATION, 600, True),
        ("ToBeDeletedByClusterAutoscaler", NoticeKind.INSTANCE_TERMINATION, 600, True),
        ("node.cloudprovider.kubernetes.io/shutdown", NoticeKind.OUT_OF_SERVICE, 0, True),
        ("node.kubernetes.io/out-of-service", NoticeKind.OUT_OF_SERVICE, 0, True),
    ],
)
def test_taints_of_each_cloud(taint: str, kind: NoticeKind, lead_seconds: float, ends: bool) -> None:
    notice = notice_on(taint)

    assert (notice.kind, notice.lead_seconds, notice.ends_instance) == (kind, lead_seconds, ends)
    assert notice.source == taint
    assert notice.deadline is None


def test_a_label_of_gke_and_conditions_of_aks() -> None:
    maintenance = notice_on(labels={"cloud.google.com/active-node-maintenance": "ONGOING"})

    assert (maintenance.kind, maintenance.lead_seconds) == (NoticeKind.SCHEDULED_MAINTENANCE, 30)
    assert notice_on(conditions=("PreemptScheduled",)).kind is NoticeKind.SPOT_INTERRUPTION
    assert notice_on(conditions=("TerminateScheduled",)).lead_seconds == 30


@pytest.mark.parametrize(
    "node",
    [
        make_node(),
        make_node("kubernetes.azure.com/scalesetpriority", labels={"cloud.google.com/gke-spot": "true"}),
        make_node("node.kubernetes.io/not-ready", "node.kubernetes.io/unschedulable", "spotkube.io/disrupted"),
        make_node(labels={"cloud.google.com/active-node-maintenance": "DONE"}, conditions=("Ready",)),
        make_node(annotations={TERMINATION_DEADLINE: rfc3339(START)}),
        {"metadata": {"uid": "u"}},
    ],
)
def test_other_signs_are_no_notice(node: dict[str, Any]) -> None:
    assert notice_of(node) is None


def test_a_condition_that_is_over_is_none() -> None:
    node = make_node(conditions=("PreemptScheduled",))
    node["status"]["conditions"][0]["status"] = "False"

    assert notice_of(node) is None


class TestDeadline:
    def test_the_annotation_of_who_knows_it(self) -> None:
        assert (
            notice_on(f"{NTH}/spot-itn", annotations={TERMINATION_DEADLINE: rfc3339(START + 77)}).deadline == START + 77
        )

    @pytest.mark.parametrize("text", ["soon", "", "2027-01-15T08:00:00", "1800000000"])
    def test_one_that_cannot_be_read_counts_as_none(self, text: str) -> None:
        assert notice_on(f"{NTH}/spot-itn", annotations={TERMINATION_DEADLINE: text}).deadline is None

    def test_otherwise_the_lead_after_the_sign_was_set(self) -> None:
        node = make_node(f"{NTH}/spot-itn")
        node["spec"]["taints"][0]["timeAdded"] = rfc3339(START)
        condition = make_node(conditions=("PreemptScheduled",))
        condition["status"]["conditions"][0]["lastTransitionTime"] = rfc3339(START)

        assert [n.deadline for n in (notice_of(node), notice_of(condition)) if n] == [START + 120, START + 30]

    @pytest.mark.parametrize(
        ("value", "deadline"),
        [(f"{START:.0f}", START + 600), ("", None), ("soon", None), ("-1", None), ("9" * 400, None), ("²", None)],
    )
    def test_cluster_autoscaler_says_in_its_taint_when_it_set_it(self, value: str, deadline: float | None) -> None:
        node = make_node("ToBeDeletedByClusterAutoscaler")
        node["spec"]["taints"][0]["value"] = value

        notice = notice_of(node)

        assert notice is not None and notice.deadline == deadline


def test_what_ends_the_instance_goes_before_a_warning_and_the_sooner_end_before_the_later() -> None:
    warned = notice_on(f"{NTH}/rebalance-recommendation", f"{NTH}/spot-itn", f"{NTH}/scheduled-maintenance")

    assert warned.source == f"{NTH}/spot-itn"


def test_the_same_sign_has_the_same_id_and_that_of_another_machine_does_not() -> None:
    again, other = make_node(f"{NTH}/spot-itn"), make_node(f"{NTH}/spot-itn")
    other["metadata"]["uid"] = "another"

    assert notice_on(f"{NTH}/spot-itn").id == notice_on(f"{NTH}/spot-itn").id
    assert {n.id for n in (notice_of(again), notice_of(other)) if n} == {
        f"u/{NTH}/spot-itn/v",
        f"another/{NTH}/spot-itn/v",
    }


def test_a_node_carries_it_along() -> None:
    notice = to_node(make_node(f"{NTH}/spot-itn")).notice

    assert notice is not None and notice.kind is NoticeKind.SPOT_INTERRUPTION
