"""Events: posted once, counted afterwards, and never in the way."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from spotkube.cluster import events, throttling
from spotkube.cluster.errors import Forbidden, NotFound, Unavailable
from spotkube.cluster.events import FORGET_SECONDS, MAX_NOTES, NOTE_BYTES, SERIES_SECONDS, EventRecorder, ObjectRef
from spotkube.cluster.resources import EVENTS, Resource

CLAIM = ObjectRef("spotkube.io/v1alpha1", "NodeClaim", "web-1", "uid-1")
POD = ObjectRef("v1", "Pod", "p", "uid-2", "shop")


class FakeClient:
    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.patched: list[tuple[str, dict[str, Any]]] = []
        self.error: Exception | None = None

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str | None = None) -> dict[str, Any]:
        assert (resource, namespace) == (EVENTS, body["metadata"]["namespace"])
        if self.error is not None:
            raise self.error
        self.created.append(body)
        return body

    async def patch(
        self, resource: Resource, name: str, body: dict[str, Any], *, namespace: str | None = None
    ) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        self.patched.append((name, body))
        return body


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def now() -> list[float]:
    """The monotonic time, to be changed in place."""
    return [1000.0]


@pytest.fixture
def recorder(client: FakeClient, now: list[float]) -> EventRecorder:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    return EventRecorder(client, "spotkube-0", clock=lambda: now[0], wall_clock=lambda: noon)


def launched(recorder: EventRecorder, ref: ObjectRef = CLAIM, note: str = "launched m7g.large in us-east-1a") -> None:
    recorder.record(ref, "Normal", "Launched", note, "Launch")


async def test_an_event_says_all_that_the_api_asks_for(recorder: EventRecorder, client: FakeClient) -> None:
    launched(recorder)
    await recorder.flush()
    (event,) = client.created
    assert event["metadata"].pop("name").startswith("web-1.")
    assert event == {
        "metadata": {"namespace": "default"},
        "eventTime": "2026-01-01T12:00:00.000000Z",
        "reportingController": "spotkube.io/operator",
        "reportingInstance": "spotkube-0",
        "regarding": {"apiVersion": "spotkube.io/v1alpha1", "kind": "NodeClaim", "name": "web-1", "uid": "uid-1"},
        "type": "Normal",
        "reason": "Launched",
        "action": "Launch",
        "note": "launched m7g.large in us-east-1a",
    }


async def test_an_event_lives_in_the_namespace_of_its_object(recorder: EventRecorder, client: FakeClient) -> None:
    launched(recorder, POD)
    await recorder.flush()
    assert client.created[0]["metadata"]["namespace"] == client.created[0]["regarding"]["namespace"] == "shop"


async def test_the_same_event_each_cycle_is_posted_once_and_then_counted(
    recorder: EventRecorder, client: FakeClient, now: list[float]
) -> None:
    for _ in range(31):
        launched(recorder)
        await recorder.flush()
        now[0] += SERIES_SECONDS / 10
    assert len(client.created) == 1
    name = client.created[0]["metadata"]["name"]
    assert [(to, body["series"]["count"]) for to, body in client.patched] == [(name, 11), (name, 21), (name, 31)]


async def test_other_objects_reasons_and_notes_are_events_of_their_own(
    recorder: EventRecorder, client: FakeClient
) -> None:
    launched(recorder)
    launched(recorder, POD)
    launched(recorder, note="launched c7g.large in us-east-1b")
    recorder.record(CLAIM, "Warning", "NotReady", "not ready within 5 minutes", "GiveBack")
    await recorder.flush()
    assert len(client.created) == 4


async def test_what_did_not_recur_for_long_is_new_when_it_does(
    recorder: EventRecorder, client: FakeClient, now: list[float]
) -> None:
    launched(recorder)
    await recorder.flush()
    now[0] += FORGET_SECONDS
    launched(recorder)
    await recorder.flush()
    assert len(client.created) == 2


async def test_a_note_that_differs_each_time_is_stopped(
    recorder: EventRecorder, client: FakeClient, now: list[float]
) -> None:
    for number in range(3 * MAX_NOTES):
        launched(recorder, note=f"waiting for {number} s")
    await recorder.flush()
    assert (len(client.created), recorder.dropped) == (MAX_NOTES, 2 * MAX_NOTES)
    now[0] += FORGET_SECONDS
    launched(recorder, note="waiting for 900 s")
    await recorder.flush()
    assert len(client.created) == MAX_NOTES + 1


@pytest.mark.parametrize("error", [Unavailable(503, "x", "later"), Forbidden(403, "Forbidden", "no right to events")])
async def test_failures_are_counted_and_not_raised(
    recorder: EventRecorder, client: FakeClient, error: Exception
) -> None:
    client.error = error
    launched(recorder)
    await recorder.flush()
    assert (recorder.dropped, client.created) == (1, [])


async def test_an_event_whose_post_failed_is_posted_when_it_recurs(
    recorder: EventRecorder, client: FakeClient, now: list[float]
) -> None:
    client.error = Unavailable(503, "x", "later")
    launched(recorder)
    await recorder.flush()
    client.error = None
    now[0] += SERIES_SECONDS
    launched(recorder)
    await recorder.flush()
    assert (len(client.created), client.patched) == (1, [])


async def test_a_series_whose_event_ran_out_begins_anew(
    recorder: EventRecorder, client: FakeClient, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(recorder)
    await recorder.flush()

    async def gone(*_: object, **__: object) -> dict[str, Any]:
        raise NotFound(404, "NotFound", "no such event")

    monkeypatch.setattr(client, "patch", gone)
    now[0] += SERIES_SECONDS
    launched(recorder)
    await recorder.flush()
    assert (len(client.created), recorder.dropped) == (2, 0)


@pytest.fixture
def short_queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(events, "MAX_QUEUED", 3)
    yield 3


async def test_a_full_queue_drops(recorder: EventRecorder, client: FakeClient, short_queue: int) -> None:
    for number in range(5):
        launched(recorder, ObjectRef("v1", "Pod", f"p{number}", f"u{number}", "shop"))
    await recorder.flush()
    assert (len(client.created), recorder.dropped) == (short_queue, 2)


async def test_what_warns_of_nothing_is_paced_and_goes_behind_warnings(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []

    async def sleep(_: float) -> None:
        waited.append(len(client.created))

    monkeypatch.setattr(throttling, "sleep", sleep)
    monkeypatch.setattr(events, "NORMAL_AT_ONCE", 1)
    recorder = EventRecorder(client, "spotkube-0")
    for number in range(3):
        launched(recorder, ObjectRef("v1", "Pod", f"p{number}", f"u{number}", "shop"))
    recorder.record(CLAIM, "Warning", "LaunchFailed", "no capacity", "Launch")

    posted, create = asyncio.Event(), client.create

    async def counted(*arguments: Any) -> dict[str, Any]:
        answer = await create(*arguments)
        if len(client.created) == 4:
            posted.set()
        return answer

    monkeypatch.setattr(client, "create", counted)
    task = asyncio.create_task(recorder.run())
    await asyncio.wait_for(posted.wait(), 30)
    task.cancel()

    assert [one["type"] for one in client.created] == ["Warning", "Normal", "Normal", "Normal"]
    assert waited == [2, 3]


async def test_long_notes_are_cut_between_characters(recorder: EventRecorder, client: FakeClient) -> None:
    launched(recorder, note="é" * NOTE_BYTES)
    await recorder.flush()
    note = client.created[0]["note"]
    assert len(note.encode()) <= NOTE_BYTES
    assert note.endswith("é…")


def test_a_reference_is_made_of_an_object() -> None:
    raw = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "uid-2", "namespace": "shop"}}
    assert ObjectRef.of(raw) == POD
