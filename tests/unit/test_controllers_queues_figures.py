"""What Prometheus is told of queues and tenants, and that it forgets those who are gone."""

from __future__ import annotations

import pytest
from test_controllers_queues import WHOLE, add_job, end, running

from controller_builders import World
from queue_worlds import add_queue, queue_world
from spotkube.cluster.resources import FAIRQUEUES, JOBS, NAMESPACES
from spotkube.model import labels as keys


@pytest.fixture
def world() -> World:
    """A queue of 4 cores for everybody."""
    return queue_world()


def figure(world: World, name: str, **labels: str) -> float | None:
    return world.metrics.registry.get_sample_value(f"spotkube_{name}", {"queue": "batch", **labels})


def samples(world: World) -> set[str]:
    """All that speak of a queue."""
    return {line for line in world.metrics.render().decode().splitlines() if "queue=" in line}


class TestShares:
    async def test_of_each_tenant_with_work_beside_what_it_is_entitled_to(self, world: World) -> None:
        add_queue(world, resources=[{"name": "cpu", "nominalQuota": "4"}], tenants=[{"name": "team-b", "weight": 3}])
        for n in range(4):
            add_job(world, f"a{n}")
            add_job(world, f"b{n}", "team-b")
        await world.cycles(2)

        assert figure(world, "queue_share_ratio", tenant="team-a") == 0.25
        assert figure(world, "queue_entitled_ratio", tenant="team-a") == 0.25
        assert figure(world, "queue_share_ratio", tenant="team-b") == 0.75
        assert figure(world, "queue_jain_index") == pytest.approx(1.0)

    async def test_who_waits_for_all_counts_as_nothing_served(self, world: World) -> None:
        add_job(world, "a", **WHOLE)
        await world.cycle()
        add_job(world, "b", "team-b", **WHOLE)
        await world.cycle()

        assert figure(world, "queue_share_ratio", tenant="team-b") == 0.0
        assert figure(world, "queue_entitled_ratio", tenant="team-b") == 0.5
        assert figure(world, "queue_jain_index") == pytest.approx(0.5)

    async def test_nobody_asks(self, world: World) -> None:
        add_job(world, "a")
        await world.cycle()
        end(world, "a")
        await world.cycles(2)

        assert figure(world, "queue_jain_index") is None
        assert figure(world, "queue_share_ratio", tenant="team-a") is None


class TestEstimates:
    async def test_of_run_times_as_jobs_end_well(self, world: World) -> None:
        add_job(world, "long", annotations={keys.EXPECTED_RUN_TIME: "1m"})
        add_job(world, "bad", annotations={keys.EXPECTED_RUN_TIME: "1m"})
        await world.cycle()
        end(world, "long", seconds=90)
        failed = {"conditions": [{"type": "Failed", "status": "True"}]}
        world.kube.change(JOBS, "bad", {"status": failed}, "team-a")

        await world.cycles(3)

        assert figure(world, "queue_run_time_ratio_count", source="Declared") == 1
        assert figure(world, "queue_run_time_ratio_sum", source="Declared") == pytest.approx(1.5)

    async def test_of_starts_as_they_were_told_first(self, world: World) -> None:
        add_job(world, "blocker", **WHOLE, annotations={keys.EXPECTED_RUN_TIME: "100s"})
        await world.cycle()
        add_job(world, "next", **WHOLE)
        await world.cycles(2)
        world.clock.now += 200
        end(world, "blocker", seconds=200)

        await world.cycles(2)

        assert running(world) == ["blocker", "next"]
        assert figure(world, "queue_start_ratio_count") == 1
        assert figure(world, "queue_start_ratio_sum") == pytest.approx(2.0, abs=0.1)

    @pytest.mark.parametrize("restarts", [1, 2])
    async def test_of_starts_as_they_were_told_before_a_restart(self, world: World, restarts: int) -> None:
        add_job(world, "blocker", **WHOLE, annotations={keys.EXPECTED_RUN_TIME: "100s"})
        await world.cycle()
        add_job(world, "next", **WHOLE)
        await world.cycles(2)
        for _ in range(restarts):
            world.clock.now += 200 / restarts
            world.restart()
            await world.cycle()
        end(world, "blocker", seconds=200)

        await world.cycles(2)

        assert running(world) == ["blocker", "next"]
        assert figure(world, "queue_start_ratio_count") == 1
        assert figure(world, "queue_start_ratio_sum") == pytest.approx(2.0, abs=0.1)

    async def test_who_starts_at_once_was_told_nothing(self, world: World) -> None:
        add_job(world, "a")
        await world.cycles(2)
        assert figure(world, "queue_start_ratio_count") is None


class TestDollars:
    async def test_what_really_ran_is_counted_for_its_tenant(self, world: World) -> None:
        figures = world.controllers.queues._figures
        figures.spent({("batch", "team-a"): 1.5})
        figures.spent({("batch", "team-a"): 0.25, ("batch", "team-b"): 0.0})

        assert figure(world, "queue_spent_usd_total", tenant="team-a") == 1.75


class TestWhoIsGone:
    async def test_a_tenant_whose_namespace_is_deleted(self, world: World) -> None:
        for name, namespace in (("a", "team-a"), ("b", "team-b")):
            add_job(world, name, namespace)
        await world.cycles(2)
        assert any("team-b" in line for line in samples(world))

        world.kube.drop(JOBS, "b", "team-b")
        world.kube.drop(NAMESPACES, "team-b")
        await world.cycles(2)

        assert not [line for line in samples(world) if "team-b" in line]
        assert figure(world, "queue_wait_seconds_count", tenant="team-a") == 1

    async def test_a_tenant_without_work_keeps_what_was_counted(self, world: World) -> None:
        add_job(world, "a")
        await world.cycle()
        end(world, "a")
        await world.cycles(2)

        assert figure(world, "queue_wait_seconds_count", tenant="team-a") == 1

    async def test_a_queue_that_is_deleted(self, world: World) -> None:
        add_job(world, "a", annotations={keys.EXPECTED_RUN_TIME: "1m"})
        await world.cycle()
        end(world, "a")
        await world.cycles(2)
        world.kube.drop(FAIRQUEUES, "batch")
        world.kube.drop(JOBS, "a", "team-a")

        await world.cycles(2)

        assert samples(world) == set()

    async def test_another_replica_leads(self, world: World) -> None:
        add_job(world, "a")
        await world.cycles(2)

        world.controllers.queues.forget()

        assert samples(world) == set()
