"""The queue's own engine in virtual time."""

from __future__ import annotations

from queue_support import NOON, make_job, make_queue
from spotkube.queueing.decisions import Cause
from spotkube.simulation.engine import Arrival, EngineCluster, Moment


def arrival(uid: str, cores: int, minutes: float, at: float = 0.0, said: float | None = None, **more: str) -> Arrival:
    job = make_job(cores, uid=uid, submitted_seconds=NOON + 60 * at, **more)
    return Arrival(job, 60 * minutes, 60 * (minutes if said is None else said))


def minutes_of(cluster: EngineCluster) -> dict[str, float]:
    return {uid: (at - NOON) / 60 for uid, at in cluster.starts.items()}


def test_jobs_start_when_room_comes_free_however_long_they_said() -> None:
    cluster = EngineCluster({"a": make_queue("a", 4)}, 4)
    cluster.play([arrival("first", 4, 10, said=3), arrival("second", 4, 1, at=2)])
    assert minutes_of(cluster) == {"first": 0, "second": 10}


def test_what_is_too_large_never_starts_and_holds_nobody_up() -> None:
    cluster = EngineCluster({"a": make_queue("a", 4)}, 4)
    cluster.play([arrival("large", 5, 1), arrival("small", 1, 1, at=1)])
    assert minutes_of(cluster) == {"small": 1}


def test_who_lends_takes_back_and_the_victim_goes_on_later() -> None:
    queues = {name: make_queue(name, 4, cohort="x") for name in "ab"}
    cluster, ended = EngineCluster(queues, 8), list[tuple[float, str, Cause]]()
    runs = dict[str, int]()

    def watch(moment: Moment) -> None:
        now = (moment.scene.now_seconds - NOON) / 60
        ended.extend((now, one.uid, one.cause) for one in moment.decisions.ended)
        for one in moment.decisions.admitted:
            runs[one.uid] = runs.get(one.uid, 0) + 1

    cluster.play([arrival("first", 4, 60), arrival("second", 4, 60), arrival("lender", 4, 30, at=5, queue="b")], watch)
    assert ended == [(5, "second", Cause.RECLAIMED)]
    assert minutes_of(cluster) == {"first": 0, "second": 0, "lender": 5}
    assert runs == {"first": 1, "second": 2, "lender": 1}


def test_what_was_run_is_remembered_for_the_next_of_its_kind() -> None:
    cluster, taken_for = EngineCluster({"a": make_queue("a", 4)}, 4), dict[str, float]()

    def watch(moment: Moment) -> None:
        taken_for.update({one.job.uid: one.job.run_seconds for one in moment.scene.backlog})

    kinds = [arrival(f"j{n}", 1, 7, at=20 * n) for n in range(2)]
    cluster.play([Arrival(one.job, one.takes_seconds) for one in kinds], watch)
    assert taken_for == {"j0": 600, "j1": 420}
