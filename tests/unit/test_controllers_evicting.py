"""Asking pods to go: again where it was refused, side by side, and never held up by one that hangs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from builders import make_pod
from controller_builders import UNAVAILABLE, World
from fake_kube import rfc3339
from spotkube.cluster.errors import TooManyRequests
from spotkube.controllers.claims import evicting
from spotkube.controllers.claims.draining import How, PodAction
from spotkube.controllers.claims.evicting import Evictor
from spotkube.controllers.toolbox import NotLeading
from spotkube.model import labels
from spotkube.model.pods import Pod


class Site:
    """Pods of one node in a world, and an evictor that is asked once a quarter of a second."""

    def __init__(self, *names: str) -> None:
        self.world = World()
        for name in names or ("web",):
            self.world.add_pod(name, node="n")
        self.evictor = Evictor(self.world.tools)
        self.began = self.world.clock.now

    def pod(self, name: str = "web") -> Pod:
        return replace(make_pod(name, node="n", namespace="shop", workload="web"), workload="shop/web")

    async def ask(self, *actions: PodAction, seconds: float) -> list[float]:
        """When something was written, in seconds since the beginning."""
        times: list[float] = []
        kube, clock = self.world.kube, self.world.clock
        kube.before_write = lambda line: times.append(clock.now - self.began)
        while clock.now - self.began <= seconds:
            await self.evictor.act(actions)
            clock.now += 0.25
        return times

    def count(self, result: str) -> float:
        value = self.world.metrics.registry.get_sample_value("spotkube_evictions_total", {"result": result})
        return value or 0.0


async def test_a_budget_that_refuses_is_asked_again_later_and_later() -> None:
    site = Site()
    site.world.kube.budgets_hold = {"web"}

    asked = await site.ask(PodAction(site.pod()), seconds=18)

    gaps = [round(later - sooner) for sooner, later in pairwise(asked)]
    assert gaps == [1, 2, 4, 5, 5]
    assert site.count("refused") == 6


async def test_it_is_not_asked_before_the_server_says_so() -> None:
    site = Site()
    site.world.kube.refuse["evict"] = TooManyRequests(429, "TooManyRequests", "wait", 7.0, True)

    asked = await site.ask(PodAction(site.pod()), seconds=10)

    assert asked == [0.0, 7.0]


async def test_no_refusal_puts_off_the_forced_moment() -> None:
    site = Site()
    site.world.kube.refuse["evict"] = TooManyRequests(429, "TooManyRequests", "wait", 60.0, True)
    await site.ask(PodAction(site.pod()), seconds=0)

    await site.evictor.act((PodAction(site.pod(), How.FORCE, 9),))

    assert site.world.kube.grace["web"] == 9
    assert site.count("forced") == 1


async def test_two_budgets_are_an_error_of_the_server_and_asked_again() -> None:
    site = Site()
    site.world.kube.refuse["evict"] = UNAVAILABLE

    assert len(await site.ask(PodAction(site.pod()), seconds=4)) == 3
    assert site.count("error") == 3


async def test_it_says_whether_anything_was_due() -> None:
    site = Site()

    assert await site.evictor.act((PodAction(site.pod()),))
    assert not await site.evictor.act((PodAction(site.pod()),))
    assert not await site.evictor.act(())


async def test_near_the_deadline_each_second_counts() -> None:
    site = Site()
    site.world.kube.refuse["delete"] = UNAVAILABLE

    asked = await site.ask(PodAction(site.pod(), How.FORCE, 9), seconds=4)

    assert sorted({*map(int, asked)}) == [0, 1, 2, 3, 4]


async def test_what_was_done_is_not_done_again_though_the_cache_lags() -> None:
    """A second deletion could only shorten the grace."""
    site = Site()

    await site.ask(PodAction(site.pod(), How.FORCE, 30), seconds=5)

    assert [line for line in site.world.kube.writes if line.startswith("delete")] == ["delete pods/web"]


async def test_who_was_evicted_is_not_evicted_again_though_the_cache_lags_for_long() -> None:
    site = Site()

    await site.ask(PodAction(site.pod()), seconds=25)
    assert site.count("evicted") == 1

    await site.ask(PodAction(site.pod()), seconds=35)
    assert site.count("evicted") == 2, "it may have been lost all the same"


async def test_a_pod_of_the_same_name_is_not_taken_for_the_one_that_is_gone() -> None:
    site = Site()
    gone = replace(site.pod(), uid="uid-of-old")

    await site.evictor.act((PodAction(gone),))

    assert "deletionTimestamp" not in site.world.pod("web")["metadata"]
    assert site.count("gone") == 1


async def test_a_webhook_that_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evicting, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(evicting, "EVICTIONS_AT_ONCE", 1)
    site = Site("stuck", "web")
    answer, evict = asyncio.Event(), site.world.kube.evict

    async def hanging(namespace: str, name: str, *, uid: str, grace_seconds: int | None = None) -> bool:
        if name == "stuck":
            await answer.wait()
        return await evict(namespace, name, uid=uid, grace_seconds=grace_seconds)

    monkeypatch.setattr(site.world.kube, "evict", hanging)
    actions = (PodAction(site.pod("stuck")), PodAction(site.pod("web")))

    await site.evictor.act(actions)
    site.world.clock.now += 60
    await site.evictor.act(actions)

    async with asyncio.timeout(10):
        while "evict pods/web" not in site.world.kube.writes:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
    answer.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert site.world.kube.writes.count("evict pods/stuck") == 1


async def test_few_are_evicted_at_a_time_but_what_is_forced_waits_for_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evicting, "EVICTIONS_AT_ONCE", 2)
    monkeypatch.setattr(evicting, "PATIENCE_SECONDS", 5.0)
    names = [f"web-{i}" for i in range(5)]
    site = Site(*names, "late")
    there, most, answer, evict = set[str](), list[int](), asyncio.Event(), site.world.kube.evict

    async def slow(namespace: str, name: str, *, uid: str, grace_seconds: int | None = None) -> bool:
        there.add(name)
        most.append(len(there))
        await answer.wait()
        there.discard(name)
        return await evict(namespace, name, uid=uid, grace_seconds=grace_seconds)

    monkeypatch.setattr(site.world.kube, "evict", slow)
    actions = [*(PodAction(site.pod(name)) for name in names), PodAction(site.pod("late"), How.FORCE, 9)]
    acting = asyncio.create_task(site.evictor.act(tuple(actions)))
    for _ in range(20):
        await asyncio.sleep(0)

    assert (len(there), site.count("forced")) == (2, 1)
    answer.set()
    await acting
    assert max(most) == 2
    assert site.count("evicted") == 5


async def test_who_waits_for_a_turn_until_its_forced_moment_is_forced_and_not_evicted_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for turns with it: its node is looked at again meanwhile."""
    monkeypatch.setattr(evicting, "EVICTIONS_AT_ONCE", 1)
    site = Site("stuck", "web")
    answer, evict = asyncio.Event(), site.world.kube.evict

    async def hanging(namespace: str, name: str, *, uid: str, grace_seconds: int | None = None) -> bool:
        await answer.wait()
        return await evict(namespace, name, uid=uid, grace_seconds=grace_seconds)

    monkeypatch.setattr(site.world.kube, "evict", hanging)
    monkeypatch.setattr(evicting, "PATIENCE_SECONDS", 5.0)
    first = asyncio.create_task(site.evictor.act((PodAction(site.pod("stuck")),)))
    second = asyncio.create_task(site.evictor.act((PodAction(site.pod("web")),)))
    await asyncio.sleep(0)
    await site.evictor.act((PodAction(site.pod("web"), How.FORCE, 9),))
    answer.set()
    await asyncio.gather(first, second)

    assert site.world.kube.writes == ["patch pods/web/status", "delete pods/web", "evict pods/stuck"]


async def test_a_mark_that_fails_costs_the_pod_no_grace() -> None:
    site = Site()
    site.world.kube.refuse["patch pods/web/status"] = UNAVAILABLE

    await site.evictor.act((PodAction(site.pod(), How.FORCE, 9),))

    assert site.world.kube.grace["web"] == 9


async def test_a_pod_is_marked_for_its_job_before_it_is_forced() -> None:
    site = Site()

    await site.evictor.act((PodAction(site.pod(), How.FORCE, 9),))

    assert site.world.kube.writes == ["patch pods/web/status", "delete pods/web"]
    [condition] = site.world.pod("web")["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("DisruptionTarget", "True")
    assert condition["lastTransitionTime"] == rfc3339(site.began), "without it, it is taken back at once"


async def test_a_pod_is_told() -> None:
    site = Site()

    await site.evictor.act((PodAction(site.pod(), How.TELL, annotations=(("example.com/save", "now"),)),))

    assert site.world.pod("web")["metadata"]["annotations"]["example.com/save"] == "now"
    assert sum(map(site.count, ("evicted", "forced", "gone"))) == 0


async def test_a_pod_is_released_and_its_successor_has_its_place() -> None:
    site = Site()

    await site.evictor.act((PodAction(site.pod(), How.RELEASE),))

    assert site.world.pod("web")["metadata"]["labels"] == {
        labels.POD_TEMPLATE_HASH: labels.RELEASED,
        labels.WORKLOAD: "web",
    }
    assert site.world.tools.displaced.owners == {("shop", "ReplicaSet/some")}


async def test_who_does_not_lead_asks_nobody() -> None:
    site = Site()
    site.world.leading = False

    with pytest.raises(NotLeading):
        await site.evictor.act((PodAction(site.pod()),))

    assert site.world.kube.writes == []
