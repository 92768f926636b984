"""The agent on a node: what the metadata says, what is written of it, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_kube import START, rfc3339
from spotkube.agent.metadata import MetadataService, MetadataUnavailable
from spotkube.agent.telling import Agent
from spotkube.cluster.errors import Unavailable
from spotkube.cluster.resources import NODES, Resource
from spotkube.convert.metadata import (
    DOCUMENTS,
    INSTANCE_ACTION,
    MAINTENANCE,
    REBALANCE,
    UnreadableDocument,
    read_metadata,
)
from spotkube.convert.nodes import to_node
from spotkube.model.labels import TERMINATION_DEADLINE, TERMINATION_NOTICE
from spotkube.model.notices import NoticeKind
from support_metadata import FakeMetadata

ACTION = json.dumps({"action": "terminate", "time": rfc3339(START + 120)})
ADVICE = json.dumps({"noticeTime": rfc3339(START)})


class TestDocuments:
    def test_a_spot_interruption_ends_at_the_time_that_it_tells(self) -> None:
        (notice,) = read_metadata(INSTANCE_ACTION, ACTION)
        assert (notice.kind, notice.deadline, notice.ends_instance) == (
            NoticeKind.SPOT_INTERRUPTION,
            START + 120,
            True,
        )

    def test_a_recommendation_ends_nothing(self) -> None:
        (notice,) = read_metadata(REBALANCE, ADVICE)
        assert (notice.kind, notice.ends_instance) == (NoticeKind.REBALANCE_RECOMMENDATION, False)

    def test_maintenance_that_is_not_over(self) -> None:
        events = [
            {"NotBefore": "21 Jan 2027 09:00:43 GMT", "Code": "system-reboot", "EventId": "e-1", "State": "active"},
            {"NotBefore": "22 Jan 2027 09:00:43 GMT", "Code": "system-reboot", "EventId": "e-2", "State": "completed"},
        ]
        (notice,) = read_metadata(MAINTENANCE, json.dumps(events))
        assert (notice.kind, notice.id) == (NoticeKind.SCHEDULED_MAINTENANCE, "e-1")
        assert notice.deadline == 1800522043.0

    @given(st.sampled_from(DOCUMENTS), st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
    def test_no_text_does_harm(self, path: str, text: str) -> None:
        try:
            read_metadata(path, text)
        except UnreadableDocument:
            return


class TestService:
    async def test_a_token_is_asked_for_once_and_anew_when_it_is_too_old(self) -> None:
        fake = FakeMetadata()
        fake.documents[INSTANCE_ACTION] = ACTION
        with fake.served() as address:
            async with aiohttp.ClientSession() as session:
                service = MetadataService(session, f"{address}/")
                assert await service.read(INSTANCE_ACTION) == ACTION
                assert await service.read(REBALANCE) is None
                assert fake.tokens == 1
                fake.tokens = 7  # the old one is none any more
                assert await service.read(INSTANCE_ACTION) == ACTION
                assert fake.tokens == 8

    async def test_no_token_and_no_service(self) -> None:
        fake = FakeMetadata()
        fake.status = 403
        async with aiohttp.ClientSession() as session:
            with fake.served() as address, pytest.raises(MetadataUnavailable, match="403"):
                await MetadataService(session, address).read(INSTANCE_ACTION)
            with pytest.raises(MetadataUnavailable):
                await MetadataService(session, "http://127.0.0.1:1").read(INSTANCE_ACTION)


class Cluster:
    """One Node, and whether the API server answers."""

    def __init__(self) -> None:
        self.annotations: dict[str, str] = {}
        self.writes = 0
        self.down = False

    async def patch(self, resource: Resource, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.down:
            raise Unavailable(0, "Timeout", "no answer")
        assert (resource, name) == (NODES, "n")
        self.writes += 1
        for key, value in body["metadata"]["annotations"].items():
            self.annotations.pop(key, None)
            if value is not None:
                self.annotations[key] = value
        return body

    def node(self) -> Any:
        return to_node({"metadata": {"name": "n", "uid": "u", "annotations": self.annotations}})


class Documents(dict[str, str]):
    """What the metadata service would say."""

    async def read(self, path: str) -> str | None:
        return self.get(path)


class TestTelling:
    async def test_what_is_told_is_what_the_operator_reads_and_it_is_taken_back(self) -> None:
        documents, cluster = Documents(), Cluster()
        agent = Agent(documents, cluster, "n")
        assert await agent.turn()
        assert cluster.node().notice is None

        documents[REBALANCE] = ADVICE
        await agent.turn()
        warning = cluster.node().notice
        assert (warning.kind, warning.ends_instance) == (NoticeKind.REBALANCE_RECOMMENDATION, False)

        documents[INSTANCE_ACTION] = ACTION
        await agent.turn()
        notice = cluster.node().notice
        assert (notice.kind, notice.deadline, notice.source) == (
            NoticeKind.SPOT_INTERRUPTION,
            START + 120,
            TERMINATION_NOTICE,
        )
        writes = cluster.writes
        await agent.turn()
        assert cluster.writes == writes, "what has not changed is not written again"

        documents.clear()
        await agent.turn()
        assert cluster.annotations == {}

    async def test_a_year_that_no_calendar_knows_does_not_end_the_agent(self) -> None:
        time, cluster = "9999-12-31T23:59:59-12:00", Cluster()
        documents = Documents({INSTANCE_ACTION: json.dumps({"action": "stop", "time": time})})

        assert await Agent(documents, cluster, "n").turn()
        assert cluster.node().notice.kind is NoticeKind.SPOT_INTERRUPTION

    async def test_what_could_not_be_written_is_written_later(self, caplog: pytest.LogCaptureFixture) -> None:
        documents, cluster = Documents({INSTANCE_ACTION: ACTION}), Cluster()
        cluster.down = True
        agent = Agent(documents, cluster, "n")
        with caplog.at_level(logging.WARNING):
            assert not await agent.turn()
            assert not await agent.turn()
        assert caplog.text.count("tried again") == 1
        cluster.down = False
        assert await agent.turn()
        assert cluster.annotations[TERMINATION_NOTICE] == "SpotInterruption"
        assert cluster.annotations[TERMINATION_DEADLINE] == rfc3339(START + 120).replace("Z", "+00:00")

    async def test_what_cannot_be_read_takes_nothing_back(self) -> None:
        documents, cluster = Documents({INSTANCE_ACTION: ACTION}), Cluster()
        agent = Agent(documents, cluster, "n")
        await agent.turn()
        documents[INSTANCE_ACTION] = "<html>"
        assert not await agent.turn()
        assert cluster.node().notice is not None

    async def test_it_ends_when_it_is_told_to(self) -> None:
        stopping = asyncio.Event()
        running = asyncio.create_task(Agent(Documents(), Cluster(), "n").run(60, stopping))
        await asyncio.sleep(0)
        stopping.set()
        await asyncio.wait_for(running, 5)


def test_the_deadline_of_a_recommendation_is_not_that_of_an_interruption_that_others_tell() -> None:
    taint = {"key": "aws-node-termination-handler/spot-itn", "effect": "NoSchedule", "timeAdded": rfc3339(START)}
    annotations = {TERMINATION_NOTICE: "RebalanceRecommendation", TERMINATION_DEADLINE: rfc3339(START + 600)}
    node = to_node({"metadata": {"name": "n", "uid": "u", "annotations": annotations}, "spec": {"taints": [taint]}})

    assert node.notice is not None
    assert (node.notice.kind, node.notice.deadline) == (NoticeKind.SPOT_INTERRUPTION, START + 120)
