"""Widths on random scenes: never above a limit, never below what runs, and at rest when nothing is new."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queue_support import make_job, make_queue
from spotkube.queueing.jobs import Running
from spotkube.queueing.queues import Queue
from spotkube.queueing.room import Room
from spotkube.queueing.scene import Scene
from spotkube.queueing.widths import share
from widths_support import Cluster, carried_out, divided, make_scene, waiting

scene_settings = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
QUEUES = ("a", "b")


@st.composite
def queues(draw: st.DrawFn) -> list[Queue]:
    cohort = draw(st.sampled_from(["x", None]))
    return [
        make_queue(name, draw(st.integers(2, 12)), cohort=cohort, weight=draw(st.sampled_from([1, 1, 0])))
        for name in QUEUES
    ]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Jobs that run within all limits, and others that wait."""
    made, cores = draw(queues()), draw(st.none() | st.integers(4, 16))
    running: list[Running] = []
    for number in range(draw(st.integers(1, 5))):
        of = draw(st.integers(1, 8))
        least, place = draw(st.integers(1, of)), float(draw(st.integers(0, 9)))
        width, more = draw(st.integers(least, of)), {"queue": draw(st.sampled_from(QUEUES))}
        one = divided(
            f"r{number}", width, of=of, least=least, place=place, unfinished=draw(st.integers(width, 20)), **more
        )
        scene = make_scene(made, running, cores=cores)
        if Room(scene.ledger, scene.capacity.room()).lack(one.job.queue, one.amounts) is None:
            running.append(one)
    backlog = []
    for number in range(draw(st.integers(0, 6))):
        pods = draw(st.integers(1, 4))
        job = make_job(
            draw(st.integers(1, 3)),
            uid=f"w{number}",
            pods=pods,
            run=draw(st.sampled_from([10, 600, 36000])),
            queue=draw(st.sampled_from(QUEUES)),
            priority=draw(st.integers(0, 1)),
            min_parallelism=draw(st.none() | st.integers(1, pods)),
        )
        backlog.append(waiting(job, draw(st.integers(0, 9)) + 0.5))
    return make_scene(made, running, backlog, cores)


@scene_settings
@given(scenes())
def test_a_fixed_scene_comes_to_rest(scene: Scene) -> None:
    for _ in range(20):
        shared = share(scene)
        if not shared.widths and not shared.decisions.admitted and not shared.decisions.ended:
            return
        scene = carried_out(scene, shared)
    raise AssertionError("no rest")


@scene_settings
@given(scenes(), st.randoms(use_true_random=False))
def test_limits_hold_and_no_pod_is_ended_however_pods_come_and_go(scene: Scene, chance: random.Random) -> None:
    cluster = Cluster(scene, chance)
    for _ in range(30):
        cluster.cycle()
        there = cluster.scene
        room = Room(there.ledger, there.capacity.room())
        for queue in QUEUES:
            assert room.lack(queue, {"cpu": 0}) is None, "the sum is above a limit"
        for uid, one in there.running.items():
            if one.division is not None:
                assert cluster.pods[uid] <= one.width <= one.job.parallelism
                assert one.width >= min(one.job.least_width, one.division.unfinished)
        if any(cluster.pods.values()):
            cluster.end_a_pod()


@scene_settings
@given(scenes())
def test_nothing_is_left_idle_that_somebody_could_use(scene: Scene) -> None:
    scene = make_scene(scene.queues.values(), scene.running.values(), cores=_cores(scene))
    for _ in range(3):
        scene = carried_out(scene, share(scene))

    room = Room(scene.ledger, scene.capacity.room())
    for one in scene.running.values():
        if one.division is not None and one.width < min(one.job.parallelism, one.division.unfinished):
            assert room.lack(one.job.queue, one.job.amounts(1)) is not None


@scene_settings
@given(scenes(), st.integers(0, 10))
def test_what_a_job_is_entitled_to_does_not_depend_on_how_wide_anybody_runs(scene: Scene, seed: int) -> None:
    """Hence nothing can swing."""
    chance, narrow = random.Random(seed), []
    for one in scene.running.values():
        width = chance.randint(min(one.job.least_width, one.width), one.width)
        narrow.append(
            divided(
                one.job.uid,
                width,
                of=one.job.parallelism,
                least=one.job.least_width,
                place=one.key,
                unfinished=one.division.unfinished if one.division else 1,
                queue=one.job.queue,
            )
        )

    assert _entitled(scene) == _entitled(make_scene(scene.queues.values(), narrow, scene.backlog, _cores(scene)))


def _entitled(scene: Scene) -> dict[str, int]:
    from spotkube.queueing import widths

    return widths._entitled(scene, {uid: one for uid, one in scene.running.items() if one.division is not None})


def _cores(scene: Scene) -> int | None:
    most = scene.capacity.most()
    return None if most is None else most["cpu"] // 1000
