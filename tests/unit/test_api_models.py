"""The models read what the API server writes, keep it through a round trip, and stay as they were made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spotkube.api import CapacityPlan, NodeClaim, NodePool, Workload
from spotkube.api.common import Condition, ConditionStatus, KubeObject, find_condition, with_condition
from spotkube.api.fields import parse_duration_seconds
from spotkube.api.nodeclaim import Phase
from spotkube.api.nodepool import InterruptionBand, PoolMode
from spotkube.api.rules import json_name
from spotkube.api.workloadsources import Placement, SourceKind
from spotkube.model.quantities import parse_quantity

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

WORKLOAD = """
apiVersion: spotkube.io/v1alpha1
kind: Workload
metadata:
  name: shop
  namespace: default
  uid: 5d9d3d1c
  resourceVersion: "17"
  generation: 2
  creationTimestamp: "2026-11-24T12:00:00Z"
  managedFields: [{manager: kubectl}]
spec:
  deployment:
    replicas: 3
    template:
      metadata: {labels: {app: shop}}
      spec: {containers: [{name: web, image: shop, resources: {requests: {cpu: 250m}}}]}
  spot: {onDemandBase: 1}
  minAvailable: 2
status:
  observedGeneration: 2
  readyReplicas: 3
  usdPerHour: 0.125
  ofANewerVersion: true
  conditions:
  - {type: Ready, status: "True", reason: AllReady, lastTransitionTime: "2026-11-24T12:00:00Z"}
"""

CLAIM = """
apiVersion: spotkube.io/v1alpha1
kind: NodeClaim
metadata: {name: general-x7k2p, finalizers: [spotkube.io/termination]}
spec:
  nodePool: general
  instanceType: m7g.large
  zone: us-east-1a
  capacityType: spot
  arch: arm64
  priceUSDPerHour: 0.0312
  allocatable: {cpu: 1930m, memory: 6804Mi, pods: 29}
  plan: plan-1
status:
  phase: Draining
  phaseTimes: {Pending: "2026-11-24T12:00:00Z", Ready: "2026-11-24T12:01:00Z"}
  providerID: local:///us-east-1a/i-1
  notice:
    kind: SpotInterruption
    source: local
    deadline: "2026-11-24T12:02:00Z"
    receivedAt: "2026-11-24T12:00:00Z"
    id: n-1
"""


@pytest.mark.parametrize(("model", "text"), [(Workload, WORKLOAD), (NodeClaim, CLAIM)])
def test_round_trip_keeps_everything(model: type[KubeObject], text: str) -> None:
    parsed = model.from_dict(yaml.safe_load(text))
    written = yaml.safe_load(yaml.safe_dump(parsed.to_dict()))

    assert model.from_dict(written) == parsed
    assert _missing(_without_foreign(yaml.safe_load(text)), written) == []


def _without_foreign(body: dict[str, Any]) -> dict[str, Any]:
    """What the models leave out on purpose: fields of others, and a number that becomes a quantity."""
    body["metadata"].pop("managedFields", None)
    body["status"].pop("ofANewerVersion", None)
    if "allocatable" in body["spec"]:
        body["spec"]["allocatable"]["pods"] = "29"
    return body


def _missing(before: Any, after: Any, path: str = "") -> list[str]:
    if isinstance(before, dict):
        return [gap for key, value in before.items() for gap in _missing(value, after.get(key), f"{path}.{key}")]
    if isinstance(before, list):
        return [gap for old, new in zip(before, after, strict=True) for gap in _missing(old, new, f"{path}[]")]
    return [] if before == after else [f"{path}: {before!r} became {after!r}"]


def test_fields_have_python_names_and_kubernetes_names() -> None:
    claim = NodeClaim.from_dict(yaml.safe_load(CLAIM))

    assert claim.spec.price_usd_per_hour == 0.0312
    assert claim.status.phase is Phase.DRAINING
    assert claim.status.phase_times[Phase.READY] == NOON + timedelta(minutes=1)
    assert {"priceUSDPerHour", "nodePool"} <= set(claim.to_dict()["spec"])
    assert claim.to_dict()["status"]["providerID"] == "local:///us-east-1a/i-1"


@pytest.mark.parametrize(
    ("python", "json"),
    [
        ("usd_per_hour", "usdPerHour"),
        ("lower_bound_usd_per_hour", "lowerBoundUSDPerHour"),
        ("provider_id", "providerID"),
        ("id", "id"),
        ("uid", "uid"),
        ("api_version", "apiVersion"),
    ],
)
def test_names_follow_the_conventions_for_acronyms(python: str, json: str) -> None:
    assert json_name(python) == json


def test_an_empty_pool_recommends_and_buys_nothing_unasked() -> None:
    pool = NodePool.from_dict({"metadata": {"name": "general"}, "spec": {}})

    assert pool.spec.mode is PoolMode.RECOMMEND
    assert pool.spec.spot.max_interruption_percent is InterruptionBand.ANY
    assert not pool.spec.spot.allow_unmanaged_pods
    assert pool.spec.ready_timeout == "5m"


def test_objects_are_frozen() -> None:
    pool = NodePool.from_dict({"metadata": {"name": "general"}, "spec": {}})

    with pytest.raises(ValidationError, match="frozen"):
        pool.spec.weight = 5  # type: ignore[misc]


def _spec(source: dict[str, Any], **fields: Any) -> Any:
    return Workload.from_dict({"metadata": {"name": "a"}, "spec": source | fields}).spec


JOB = {"job": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a"}]}}}}
SERVICE = {"deployment": {"template": {"spec": {"containers": [{"name": "a"}]}}}}
TARGET_JOB = {"targetRef": {"apiVersion": "batch/v1", "kind": "Job", "name": "a"}}


@pytest.mark.parametrize(
    ("source", "kind", "placement"),
    [(JOB, SourceKind.JOB, Placement.PINNED), (SERVICE, SourceKind.DEPLOYMENT, Placement.SCHEDULER),
     (TARGET_JOB, SourceKind.JOB, Placement.SCHEDULER)],
)  # fmt: skip
def test_placement_is_pinned_for_jobs_that_we_make(source: Any, kind: SourceKind, placement: Placement) -> None:
    spec = _spec(source)

    assert (spec.source_kind, spec.effective_placement) == (kind, placement)


def test_placement_that_is_given_holds() -> None:
    assert _spec(JOB, placement="Scheduler").effective_placement is Placement.SCHEDULER


def test_minimum_available_stays_what_a_disruption_budget_takes() -> None:
    assert _spec(SERVICE, minAvailable=2).min_available == 2
    assert _spec(SERVICE, minAvailable="50%").min_available == "50%"


def test_times_are_utc_and_deadlines_round_down() -> None:
    body = yaml.safe_load(CLAIM)
    body["status"]["notice"]["deadline"] = datetime(
        2026, 11, 24, 14, 2, 0, 900_000, tzinfo=timezone(timedelta(hours=2))
    )
    notice = NodeClaim.from_dict(body).to_dict()["status"]["notice"]

    assert notice["deadline"] == "2026-11-24T12:02:00Z"


def test_status_of_a_plan_begins_empty() -> None:
    plan = CapacityPlan.from_dict({"metadata": {"name": "p"}, "spec": {"mode": "Apply", "seed": 1}})

    assert plan.status.lower_bound_usd_per_hour is None
    assert plan.status.additions == ()


def condition(status: ConditionStatus, time: datetime, reason: str = "Because", type_: str = "Ready") -> Condition:
    return Condition(type=type_, status=status, last_transition_time=time, reason=reason)


class TestConditions:
    def test_time_stays_while_the_status_does(self) -> None:
        old = condition(ConditionStatus.FALSE, NOON)
        new = condition(ConditionStatus.FALSE, NOON + timedelta(hours=1), "StillNot")

        assert with_condition((old,), new) == (condition(ConditionStatus.FALSE, NOON, "StillNot"),)

    def test_time_moves_with_the_status(self) -> None:
        new = condition(ConditionStatus.TRUE, NOON + timedelta(hours=1))

        assert with_condition((condition(ConditionStatus.FALSE, NOON),), new) == (new,)

    def test_other_types_stay_in_place(self) -> None:
        other = condition(ConditionStatus.TRUE, NOON, type_="Placed")
        new = condition(ConditionStatus.TRUE, NOON)

        both = with_condition((other,), new)

        assert both == (other, new)
        assert find_condition(both, "Ready") is new
        assert find_condition(both, "Applied") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", "0.5"),
        ("2", "2"),
        ("1.5Gi", str(3 * 2**29)),
        ("1e3", "1000"),
        ("1E", str(10**18)),
        ("100n", "1e-7"),
        ("+.5k", "500"),
    ],
)
def test_quantities(text: str, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "ten", "1 Gi", "1gi", "--1", "1Kii", "."])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="such as 500m, 2 or 8Gi"):
        parse_quantity(text)


@given(hours=st.integers(0, 999_999), minutes=st.integers(0, 999_999), seconds=st.integers(0, 999_999))
def test_durations(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration_seconds(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize("text", ["", "5", "m", "1d", "30s1m", "1.5h", "-1m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90s, 20m or 1h30m"):
        parse_duration_seconds(text)


def test_words_of_ours_that_grew_too_long_are_cut_and_not_refused() -> None:
    status = Workload.from_dict(yaml.safe_load(WORKLOAD) | {"status": {"waitingFor": "no " * 1000}}).status

    assert status.waiting_for is not None
    assert len(status.waiting_for) == 1024
    assert status.waiting_for.endswith("…")
