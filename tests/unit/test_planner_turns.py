"""Nodes are bought in the order in which pods wait for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from builders import make_pod
from spotkube.model.pods import Pod
from spotkube.planner.formulation.groups import Group, group_pods
from spotkube.planner.problem import Solution
from spotkube.planner.turns import in_turn


def pod(name: str, created_at: float, cpu: str, priority: int = 0, job: bool = False) -> Pod:
    made = make_pod(name, cpu=cpu, owner="Job/batch" if job else "ReplicaSet/web")
    return replace(made, created_at=created_at, shape=replace(made.shape, priority=priority))


def solution(node_pods: list[list[int]], bin_pods: list[list[int]] | None = None) -> Solution:
    groups = len(node_pods[0])
    return Solution(
        node_kind=np.arange(len(node_pods), dtype=np.int64),
        node_pods=np.array(node_pods, dtype=np.int64),
        bin_pods=np.array(bin_pods or [], dtype=np.int64).reshape(-1, groups),
        unplaced=np.zeros(groups, dtype=np.int64),
    )


def grouped(*pods: Pod) -> list[Group]:
    return group_pods(pods, frozenset(), {})


def order(solved: Solution, *pods: Pod) -> list[int]:
    return [int(kind) for kind in in_turn(solved, grouped(*pods), pods).node_kind]


def test_the_node_of_whom_has_waited_longest_comes_first() -> None:
    late, early = pod("late", 20, "1"), pod("early", 10, "2")
    by_name = {group.pods[0]: g for g, group in enumerate(grouped(late, early))}
    rows = [[0, 0], [0, 0]]
    rows[0][by_name[late.uid]] = rows[1][by_name[early.uid]] = 1

    assert order(solution(rows), late, early) == [1, 0]


def test_who_has_priority_does_not_wait_for_who_came_first() -> None:
    first, urgent = pod("first", 10, "1"), pod("urgent", 20, "2", priority=7)

    assert order(solution([[1, 0], [0, 1]]), first, urgent) == [1, 0]


def test_batch_waits_for_services() -> None:
    batch, service = pod("batch", 10, "1", job=True), pod("service", 20, "2")

    assert order(solution([[1, 0], [0, 1]]), batch, service) == [1, 0]


def test_where_several_have_room_the_one_that_takes_most_of_its_kind_does() -> None:
    pods = [pod(f"web-{i}", 10 + i, "1") for i in range(4)]

    assert order(solution([[1], [3]]), *pods) == [1, 0]


def test_whoever_has_room_on_what_is_there_needs_no_node_early() -> None:
    first, second, third = pod("first", 10, "1"), pod("second", 20, "2"), pod("third", 30, "1")

    assert order(solution([[1, 0], [0, 1]], [[1, 0]]), first, second, third) == [1, 0]


@given(st.data())
def test_the_nodes_are_the_same_whatever_the_order(data: st.DataObject) -> None:
    pods = [
        pod(f"p{i}", data.draw(st.integers(0, 5)), str(data.draw(st.integers(1, 3))), data.draw(st.integers(0, 1)))
        for i in range(data.draw(st.integers(1, 12)))
    ]
    groups = grouped(*pods)
    nodes = data.draw(st.integers(1, 6))
    left = [group.count for group in groups]
    rows = [[0] * len(groups) for _ in range(nodes)]
    for row in rows:
        for g in range(len(groups)):
            row[g] = data.draw(st.integers(0, left[g]))
            left[g] -= row[g]
    before = solution(rows)

    after = in_turn(before, groups, pods)

    def told(one: Solution) -> Counter[tuple[int, tuple[int, ...]]]:
        return Counter((int(kind), tuple(row)) for kind, row in zip(one.node_kind, one.node_pods.tolist(), strict=True))

    assert told(after) == told(before)
