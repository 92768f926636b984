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
        *_quotas(problem, solution),
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
        met = [False] * len(problem.needs.of)
        yield from _holder(problem, where, row.tolist(), room, problem.compatible[:, kind].tolist(), caps, met)


def _bins(problem: Problem, solution: Solution) -> Iterator[str]:
    for b, row in enumerate(solution.bin_pods):
        room = [int(amount) for amount in problem.bins[b]]
        caps = [int(left) for left in problem.bin_cap_left[:, b]]
        met = [bool(needs[b]) for needs in problem.needs.met]
        yield from _holder(problem, f"bin {b}", row.tolist(), room, problem.bin_compatible[:, b].tolist(), caps, met)


def _holder(
    problem: Problem,
    where: str,
    row: Sequence[int],
    room: Sequence[int],
    open_to: Sequence[bool],
    caps: Sequence[int],
    met: Sequence[bool],
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
        used = sum(row[g] * int(problem.cap_use[k, g]) for g in inside)
        if used > limit and used > 0:
            yield f"{where}: {used} under cap {k} of {limit}"
    for n, g in enumerate(problem.needs.of.tolist()):
        if g in inside and not met[n] and not any(problem.needs.member[n, other] for other in inside):
            yield f"{where}: group {g} is there without what its need {n} asks for"


def _limits(problem: Problem, solution: Solution) -> Iterator[str]:
    for p, left in enumerate(problem.pool_left.tolist()):
        kinds = [int(kind) for kind in solution.node_kind if problem.pool[kind] == p]
        used = [sum(int(problem.limit_use[kind, r]) for kind in kinds) for r in range(len(problem.resources))]
        used += [len(kinds), sum(int(problem.price[kind]) for kind in kinds)]
        for i, (amount, limit) in enumerate(zip(used, left, strict=True)):
            if limit < NO_LIMIT and amount > max(limit, 0):
                yield f"pool {p}: {amount} of limit {i}, which is {limit}"


def _quotas(problem: Problem, solution: Solution) -> Iterator[str]:
    quotas = problem.quotas
    for q, use in enumerate(quotas.use.tolist()):
        domains = [int(quotas.domain[q, kind]) for kind in solution.node_kind] + quotas.bin_domain[q].tolist()
        rows = [*solution.node_pods.tolist(), *solution.bin_pods.tolist()]
        for d, left in enumerate(quotas.left[q].tolist()):
            used = sum(
                sum(pods * each for pods, each in zip(row, use, strict=True))
                for row, domain in zip(rows, domains, strict=True)
                if domain == d
            )
            if used > max(left, 0):
                yield f"domain {d}: {used} under quota {q} of {left}"
