"""Checks a solution against its problem, rule by rule in plain Python, sharing nothing with the solvers."""

from collections.abc import Iterator, Sequence

from spotkube.planner.problem import NO_LIMIT, Problem, Solution


def validate(problem: Problem, solution: Solution) -> list[str]:
    """What is wrong with the solution, in words; empty if nothing is."""
    return [
        *_counts(problem, solution),
        *_bought(problem, solution),
        *_bins(problem, solution),
        *_limits(problem, solution),
    ]


def _counts(problem: Problem, solution: Solution) -> Iterator[str]:
    for g in range(problem.groups):
        placed = sum(int(row[g]) for row in solution.node_pods) + sum(int(row[g]) for row in solution.bin_pods)
        missing = int(solution.unplaced[g])
        if missing < 0 or placed + missing != problem.count[g]:
            yield f"group {g}: {placed} placed and {missing} unplaced of {problem.count[g]}"


def _bought(problem: Problem, solution: Solution) -> Iterator[str]:
    caps = [int(limit) for limit in problem.cap_limit]
    for n, (kind, row) in enumerate(zip(solution.node_kind, solution.node_pods, strict=True)):
        where = f"node {n} of kind {kind}"
        if not 0 <= kind < problem.kinds:
            yield f"{where}: no such kind"
            continue
        if not row.any():
            yield f"{where}: empty"
        room = [int(amount) for amount in problem.capacity[kind]]
        yield from _holder(problem, where, row.tolist(), room, problem.compatible[:, kind].tolist(), caps)


def _bins(problem: Problem, solution: Solution) -> Iterator[str]:
    for b, row in enumerate(solution.bin_pods):
        room = [int(amount) for amount in problem.bins[b]]
        caps = [int(left) for left in problem.bin_cap_left[:, b]]
        yield from _holder(problem, f"bin {b}", row.tolist(), room, problem.bin_compatible[:, b].tolist(), caps)


def _holder(
    problem: Problem, where: str, row: Sequence[int], room: Sequence[int], open_to: Sequence[bool], caps: Sequence[int]
) -> Iterator[str]:
    inside = [g for g, pods in enumerate(row) if pods]
    for g in inside:
        if row[g] < 0:
            yield f"{where}: {row[g]} pods of group {g}"
        if not open_to[g]:
            yield f"{where}: group {g} is not compatible"
        for other in inside:
            if other < g and problem.conflict[g, other]:
                yield f"{where}: groups {other} and {g} conflict"
    for r, name in enumerate(problem.resources):
        used = sum(row[g] * int(problem.demand[g, r]) for g in inside)
        if used > room[r] and used > 0:
            yield f"{where}: {used} of {name} where {room[r]} are"
    for k, limit in enumerate(caps):
        members = sum(row[g] for g in inside if problem.cap_member[k, g])
        if members > limit and members > 0:
            yield f"{where}: {members} pods under cap {k} of {limit}"


def _limits(problem: Problem, solution: Solution) -> Iterator[str]:
    for p, left in enumerate(problem.pool_left.tolist()):
        kinds = [int(kind) for kind in solution.node_kind if problem.pool[kind] == p]
        used = [sum(int(problem.limit_use[kind, r]) for kind in kinds) for r in range(len(problem.resources))]
        used += [len(kinds), sum(int(problem.price[kind]) for kind in kinds)]
        for i, (amount, limit) in enumerate(zip(used, left, strict=True)):
            if limit < NO_LIMIT and amount > max(limit, 0):
                yield f"pool {p}: {amount} of limit {i}, which is {limit}"
