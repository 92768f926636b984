"""Notices in messages: each kind of event, wrapped or not, and all that is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotkube.convert.messages import UnknownKind, UnreadableMessage, read_message
from spotkube.model.notices import Notice, NoticeKind

Object = dict[str, Any]
INSTANCE = "i-0123456789abcdef0"
# 2026-11-29T10:00:00Z
HAPPENED = 1795946400.0


def event(kind: str, /, **detail: Any) -> Object:
    """As EventBridge writes it."""
    return {
        "version": "0",
        "id": "b4f1-event",
        "detail-type": kind,
        "source": "aws.ec2",
        "account": "123456789012",
        "time": "2026-11-29T10:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:ec2:us-east-1a:instance/{INSTANCE}"],
        "detail": detail,
    }


def interruption(action: str = "terminate") -> Object:
    detail = {"instance-id": INSTANCE, "instance-action": action}
    return event("EC2 Spot Instance Interruption Warning", **detail)


def only(message: Object) -> Notice:
    (notice,) = read_message(json.dumps(message))
    return notice


class TestKinds:
    def test_a_spot_instance_has_two_minutes_from_the_event_on_however_long_the_message_waited(self) -> None:
        notice = only(interruption())

        assert notice == Notice(
            kind=NoticeKind.SPOT_INTERRUPTION,
            source="EC2 Spot Instance Interruption Warning",
            id="b4f1-event",
            lead_seconds=0.0,
            deadline=HAPPENED + 120,
            instance=INSTANCE,
        )

    def test_hibernation_begins_at_once(self) -> None:
        assert only(interruption("hibernate")).deadline == HAPPENED

    def test_a_recommendation_ends_nothing(self) -> None:
        notice = only(event("EC2 Instance Rebalance Recommendation", **{"instance-id": INSTANCE}))
        assert (notice.kind, notice.ends_instance) == (NoticeKind.REBALANCE_RECOMMENDATION, False)

    @pytest.mark.parametrize("state", ["stopping", "stopped", "shutting-down", "terminated"])
    def test_an_end_after_the_fact(self, state: str) -> None:
        notice = only(event("EC2 Instance State-change Notification", **{"instance-id": INSTANCE, "state": state}))
        assert (notice.kind, notice.deadline) == (NoticeKind.INSTANCE_TERMINATION, HAPPENED)

    @pytest.mark.parametrize("state", ["pending", "running"])
    def test_an_instance_that_begins_is_no_news(self, state: str) -> None:
        message = event("EC2 Instance State-change Notification", **{"instance-id": INSTANCE, "state": state})
        assert read_message(json.dumps(message)) == ()

    def test_a_scheduled_change_of_several_instances(self) -> None:
        entities = [{"entityValue": INSTANCE}, {"entityValue": "i-2"}]
        message = event(
            "AWS Health Event",
            service="EC2",
            eventTypeCategory="scheduledChange",
            startTime="Sun, 29 Nov 2026 12:00:00 GMT",
            affectedEntities=entities,
        )
        notices = read_message(json.dumps(message))

        assert [notice.instance for notice in notices] == [INSTANCE, "i-2"]
        assert {(notice.kind, notice.deadline) for notice in notices} == {
            (NoticeKind.SCHEDULED_MAINTENANCE, HAPPENED + 7200)
        }
        assert len({notice.id for notice in notices}) == 2

    @pytest.mark.parametrize(("service", "category"), [("RDS", "scheduledChange"), ("EC2", "issue")])
    def test_other_news_of_health_is_none(self, service: str, category: str) -> None:
        assert read_message(json.dumps(event("AWS Health Event", service=service, eventTypeCategory=category))) == ()

    def test_autoscaling_by_eventbridge_and_by_itself(self) -> None:
        by_event = event("EC2 Instance-terminate Lifecycle Action", EC2InstanceId=INSTANCE, LifecycleActionToken="t")
        itself = {
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
            "RequestId": "r",
            "EC2InstanceId": INSTANCE,
            "Time": "2026-11-29T10:00:00.000Z",
        }
        for message in (by_event, itself):
            notice = only(message)
            assert (notice.kind, notice.instance, notice.deadline) == (
                NoticeKind.INSTANCE_TERMINATION,
                INSTANCE,
                HAPPENED + 120,
            )
        assert read_message(json.dumps({"Event": "autoscaling:TEST_NOTIFICATION", "RequestId": "r"})) == ()

    def test_what_sns_wraps_is_the_same(self) -> None:
        wrapped = {"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(interruption())}
        assert only(wrapped) == only(interruption())


class TestBadMessages:
    @pytest.mark.parametrize(
        "body", ["", "{", "[]", "null", '"text"', "[" * 100_000, '{"Type":"Notification","Message":"x"}']
    )
    def test_no_json_object(self, body: str) -> None:
        with pytest.raises(UnreadableMessage):
            read_message(body)

    @pytest.mark.parametrize(
        "message", [{}, {"detail-type": "EC2 Fleet Change"}, {"detail-type": ["list"]}, {"Event": 3}]
    )
    def test_an_unknown_kind_is_named(self, message: Object) -> None:
        with pytest.raises(UnknownKind, match="detail-type"):
            read_message(json.dumps(message))

    @pytest.mark.parametrize(
        "change",
        [{"time": "soon"}, {"time": None}, {"detail": {}}, {"detail": None}, {"detail": {"instance-id": 5}},
         {"detail": {"instance-id": ""}}, {"time": "99999-01-01"}, {"id": "\ud800"}],
    )  # fmt: skip
    def test_an_event_that_lacks_what_it_must_have(self, change: Object) -> None:
        with pytest.raises(UnreadableMessage, match="Interruption Warning"):
            read_message(json.dumps(interruption() | change))

    def test_an_unknown_state(self) -> None:
        message = event("EC2 Instance State-change Notification", **{"instance-id": INSTANCE, "state": "melting"})
        with pytest.raises(UnreadableMessage, match="melting"):
            read_message(json.dumps(message))

    @given(st.text())
    def test_no_text_does_harm(self, body: str) -> None:
        with pytest.raises((UnreadableMessage, UnknownKind)):
            read_message(body)

    _values = st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
        max_leaves=4,
    )

    @given(
        st.sampled_from(["id", "time", "detail", "resources", "detail-type", "Type", "Message"]),
        _values,
    )
    def test_no_change_of_a_message_does_harm(self, key: str, value: object) -> None:
        try:
            notices = read_message(json.dumps(interruption() | {key: value}))
        except (UnreadableMessage, UnknownKind):
            return
        assert all(isinstance(notice.instance, str) and notice.deadline is not None for notice in notices)
