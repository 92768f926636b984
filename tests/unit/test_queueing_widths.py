"""Divisible jobs that run grow into what nobody else is entitled to, and shrink for those who are before them."""

import random

from queue_support import NOON, make_job, make_queue
from spotkube.queueing.jobs import Running
from spotkube.queueing.queues import Stop
from spotkube.queueing.widths import share
from widths_support import POD_SECONDS, Cluster, carried_out, divided, make_scene, waiting


class TestGrowing:
    def test_into_what_is_free_up_to_its_parallelism(self) -> None:
        assert share(make_scene([make_queue(cpu=10)], [divided("a", 2, of=6)])).widths == {"a": 6}
        assert share(make_scene([make_queue(cpu=4)], [divided("a", 2, of=6)])).widths == {"a": 4}

    def test_no_further_than_it_has_pods_left(self) -> None:
        assert share(make_scene([make_queue(cpu=10)], [divided("a", 2, of=6, unfinished=3)])).widths == {"a": 3}

    def test_who_waits_and_is_before_it_goes_first(self) -> None:
        backlog = [waiting(make_job(uid="w", cpu=3), place=0)]

        shared = share(make_scene([make_queue(cpu=6)], [divided("a", 2, of=6, place=1)], backlog))

        assert [one.uid for one in shared.decisions.admitted] == ["w"]
        assert shared.widths == {"a": 3}

    def test_who_waits_and_is_behind_it_has_what_it_leaves(self) -> None:
        backlog = [waiting(make_job(uid="w", cpu=3), place=2)]
        queues = [make_queue(cpu=6)]

        assert share(make_scene(queues, [divided("a", 2, of=6, place=1)], backlog)).widths == {"a": 6}
        few_left = share(make_scene(queues, [divided("a", 2, of=3, place=1)], backlog))
        assert (few_left.widths, len(few_left.decisions.admitted)) == ({"a": 3}, 1)

    def test_room_that_is_kept_for_another_is_not_grown_into(self) -> None:
        whole = Running(make_job(uid="b", cpu=2, run=10), NOON, 1, key=0.0)
        backlog = [waiting(make_job(uid="w", cpu=5), place=0)]

        shared = share(make_scene([make_queue(cpu=6)], [divided("a", 1, of=6, place=1), whole], backlog))

        assert shared.widths == {}, "the other one ends before a pod would"

    def test_it_ends_nobody_for_it(self) -> None:
        queues = [make_queue("a", 4, cohort="x"), make_queue("b", 4, cohort="x")]
        borrower = Running(make_job(uid="b", queue="b", cpu=6), NOON, 1, nominal=False, key=0.0)

        shared = share(make_scene(queues, [divided("a", 2, of=4), borrower]))

        assert (shared.widths, shared.decisions.ended) == ({}, ())


class TestShrinking:
    def test_for_one_who_is_before_it(self) -> None:
        backlog = [waiting(make_job(uid="w", cpu=2), place=0)]

        shared = share(make_scene([make_queue(cpu=6)], [divided("a", 6, of=6)], backlog))

        assert shared.widths == {"a": 4}
        assert shared.decisions.admitted == (), "there is room once pods have ended"

    def test_not_for_one_who_is_behind_it(self) -> None:
        backlog = [waiting(make_job(uid="w", cpu=2), place=2)]

        assert share(make_scene([make_queue(cpu=6)], [divided("a", 6, of=6)], backlog)).widths == {}

    def test_not_below_its_least_width_and_not_in_vain(self) -> None:
        queues, running = [make_queue(cpu=6)], [divided("a", 6, of=6, least=3)]

        for cpu, widths in ((3, {"a": 3}), (4, {})):
            backlog = [waiting(make_job(uid="w", cpu=cpu), place=0)]
            assert share(make_scene(queues, running, backlog)).widths == widths

    def test_those_who_come_last_in_the_order_first(self) -> None:
        running = [divided("a", 3, of=3, place=1), divided("b", 3, of=3, place=2)]
        backlog = [waiting(make_job(uid="w", cpu=2), place=0)]

        assert share(make_scene([make_queue(cpu=6)], running, backlog)).widths == {"b": 1}

    def test_for_one_that_is_divisible_as_well(self) -> None:
        backlog = [waiting(make_job(uid="w", pods=4, min_parallelism=1), place=0)]
        cluster = Cluster(make_scene([make_queue(cpu=6)], [divided("a", 6, of=6, least=2)], backlog), random.Random(1))

        for _ in range(40):
            cluster.cycle()
            cluster.end_a_pod()
        cluster.cycle()

        assert {uid: one.width for uid, one in cluster.scene.running.items()} == {"a": 2, "w": 4}

    def test_for_the_owner_of_what_its_queue_borrows(self) -> None:
        queues = [make_queue("a", 4, cohort="x"), make_queue("b", 4, cohort="x")]
        backlog = [waiting(make_job(uid="w", queue="b", cpu=3), place=9)]

        assert share(make_scene(queues, [divided("a", 8, of=8, place=1)], backlog)).widths == {"a": 5}

    def test_not_where_its_queue_is_stopped(self) -> None:
        queues = [make_queue("a", 6, cohort="x", stop=Stop.HOLD), make_queue("b", 2, cohort="x")]
        backlog = [waiting(make_job(uid="w", queue="b", cpu=2), place=0)]

        assert share(make_scene(queues, [divided("a", 8, of=8)], backlog)).widths == {}

    def test_who_waits_for_the_room_is_not_passed_by_what_runs_longer(self) -> None:
        backlog = [waiting(make_job(uid="w", cpu=3), place=0), waiting(make_job(uid="long", cpu=1, run=7200), place=3)]
        scene = make_scene([make_queue(cpu=6)], [divided("a", 5, of=6)], backlog)

        shared = share(scene, {"a": [NOON - 50, NOON - 40, NOON - 30, NOON - 20, NOON - 10]})

        assert shared.widths == {"a": 3}
        assert shared.decisions.admitted == ()
        (reserved,) = shared.decisions.reservations
        assert (reserved.uid, reserved.start_seconds) == ("w", NOON + POD_SECONDS - 40), "its second pod ends then"


def test_the_scene_is_as_it_was() -> None:
    backlog = [waiting(make_job(uid="w", cpu=2), place=0)]
    scene = make_scene([make_queue(cpu=6)], [divided("a", 2, of=6)], backlog)

    share(scene)

    assert [one.job.uid for one in scene.backlog] == ["w"]
    assert scene.running["a"].division == divided("a", 2, of=6).division


def test_a_tenant_that_comes_is_served_after_a_pods_run_and_the_room_goes_back() -> None:
    cluster = Cluster(make_scene([make_queue(cpu=4)], [divided("a", 4, of=4)]), random.Random(2))
    cluster.submit(waiting(make_job(uid="w", pods=2), place=0))
    cluster.cycle()
    cluster.scene = carried_out(cluster.scene, share(cluster.scene))  # A run of pods later.
    cluster.pods["a"] = 2

    cluster.cycle()
    assert {uid: one.width for uid, one in cluster.scene.running.items()} == {"a": 2, "w": 2}

    cluster._drop("w")
    cluster.cycle()
    assert cluster.scene.running["a"].width == 4
