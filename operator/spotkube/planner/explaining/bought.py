"""Why each node is bought: for whom, why as spot or on demand, what fills it, and what the next best would cost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotkube.model.explanation import Alternative
from spotkube.model.offerings import ON_DEMAND, SPOT, Offering
from spotkube.model.plan import PlannedNode
from spotkube.model.resources import CPU, MEMORY
from spotkube.planner.formulation.assembling import Built
from spotkube.planner.formulation.groups import Group
from spotkube.planner.problem import BoolArray, IntArray, Problem, Solution

ALTERNATIVES = 3
_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Market:
    """What would hold the pods of a node instead: [O] within limits and shares, and where only these forbid it."""

    holding: BoolArray
    limited: BoolArray


class Purchases:
    """The nodes to buy of one solution."""

    def __init__(self, built: Built, solution: Solution) -> None:
        self._built, self._problem = built, built.problem
        self._takes = built.problem.takes
        self._left = built.problem.pool_left.copy()
        np.subtract.at(self._left, self._problem.pool[solution.node_kind], self._takes[solution.node_kind])
        self._shares_left = _shares_left(built.problem, solution)
        self._said: dict[tuple[int, bytes], tuple[str, int, tuple[Alternative, ...]]] = {}

    def node(self, kind: int, row: IntArray, pods: tuple[str, ...]) -> PlannedNode:
        """The node of a kind that holds `row` [G] of each group, and `pods` by uid."""
        alike = (kind, row.tobytes())
        if alike not in self._said:
            self._said[alike] = self._explain(kind, row)
        reason, choice, alternatives = self._said[alike]
        pool = self._built.kinds.pools[self._problem.pool[kind]]
        return PlannedNode(pool.name, self._built.kinds.offerings[kind], pods, reason, choice, alternatives)

    def _explain(self, kind: int, row: IntArray) -> tuple[str, int, tuple[Alternative, ...]]:
        market = self._market(kind, row)
        # Of one offering the pools that sell it are no choice.
        offerings = self._built.kinds.offerings
        choice = len({offerings[o].key for o in np.flatnonzero(market.holding)})
        others = self._others(kind, market.holding)
        parts = [
            f"holds {_whom(self._built.groups, row)}",
            self._capacity_type(kind, row),
            f"full to {self._used(kind, row)}",
            self._price(kind, row, choice, others, market),
        ]
        if elsewhere := _others_schedulers(self._built.groups, row):
            parts.append(elsewhere)
        return "; ".join(parts), choice, others[:ALTERNATIVES]

    def _market(self, kind: int, row: IntArray) -> _Market:
        problem, inside = self._problem, row > 0
        used = row @ problem.demand
        fits = problem.compatible[inside].all(axis=0) & (problem.capacity >= used).all(axis=1)
        left = self._left[problem.pool] + np.where(
            (problem.pool == problem.pool[kind])[:, np.newaxis], self._takes[kind], 0
        )
        allowed = (self._takes <= left).all(axis=1) & self._shares_allow(kind, row)
        allowed[kind] = True
        return _Market(fits & allowed, fits & ~allowed)

    def _shares_allow(self, kind: int, row: IntArray) -> BoolArray:
        """[O] where the largest share of a Workload in one spot pool lets the pods stand."""
        quotas = self._problem.quotas
        allow = np.ones(self._problem.kinds, dtype=np.bool_)
        for q, use in enumerate(quotas.use):
            taken, domain = int(use @ row), quotas.domain[q]
            elsewhere = (domain >= 0) & (domain != domain[kind])
            if taken and elsewhere.any():
                allow &= ~elsewhere | (self._shares_left[q][np.maximum(domain, 0)] >= taken)
        return allow

    def _others(self, kind: int, holding: BoolArray) -> tuple[Alternative, ...]:
        """The other offerings that hold the pods, each in the pool with the lowest price, the cheapest first."""
        problem, kinds = self._problem, self._built.kinds
        found: dict[object, int] = {kinds.offerings[kind].key: kind}
        candidates = np.flatnonzero(holding)
        for o in candidates[np.argsort(problem.price[candidates], kind="stable")]:
            found.setdefault(kinds.offerings[o].key, int(o))
            if len(found) > ALTERNATIVES:
                break
        return tuple(
            Alternative(
                kinds.pools[problem.pool[o]].name, kinds.offerings[o], int(problem.price[o] - problem.price[kind])
            )
            for o in found.values()
            if o != kind
        )

    def _capacity_type(self, kind: int, row: IntArray) -> str:
        offering, pool = self._built.kinds.offerings[kind], self._built.kinds.pools[self._problem.pool[kind]]
        if offering.capacity_type == SPOT:
            return "spot, which all of them bear"
        inside = [self._built.groups[g] for g in np.flatnonzero(row)]
        ruled = [group.name for group in inside if group.capacity_type == ON_DEMAND]
        nobodys = [group.name for group in inside if not (group.managed or pool.allow_unmanaged_on_spot)]
        why = [f"{_names(ruled)} (spot rule)" if ruled else "", f"{_names(nobodys)} (no Workload)" if nobodys else ""]
        told = " and ".join(filter(None, why))
        return f"on demand for {told}" if told else "on demand, though all would bear spot"

    def _used(self, kind: int, row: IntArray) -> str:
        """How full it is, the resource that binds first."""
        total, capacity = row @ self._problem.demand, self._problem.capacity[kind]
        shares = {
            name: float(total[r] / capacity[r])
            for r, name in enumerate(self._problem.resources)
            if capacity[r] and (name in (CPU, MEMORY) or total[r] == capacity[r])
        }
        ordered = sorted(shares.items(), key=lambda item: -item[1])
        return ", ".join(f"{share:.0%} of {name}" for name, share in ordered[:_NAMED])

    def _price(self, kind: int, row: IntArray, choice: int, others: Sequence[Alternative], market: _Market) -> str:
        problem, offerings = self._problem, self._built.kinds.offerings
        if not others:
            only = "the only offering that holds these pods"
        elif others[0].more_micro_usd_hour >= 0:
            more = others[0].more_micro_usd_hour
            next_best = f"next: {_offered(others[0].offering)}, {_more(more) if more else 'at the same price'}"
            only = f"the cheapest of {choice} offerings that hold these pods; {next_best}"
        else:
            return self._dearer(kind, row, choice, others[0])
        limited = np.flatnonzero(market.limited & (problem.price < problem.price[kind]))
        if len(limited):
            cheapest = int(limited[np.argmin(problem.price[limited])])
            less = _more(int(problem.price[cheapest] - problem.price[kind]))
            only += f"; limits or shares leave no room for {_offered(offerings[cheapest])}, {less}"
        return only

    def _dearer(self, kind: int, row: IntArray, choice: int, other: Alternative) -> str:
        """Why a cheaper one was not taken: it is interrupted more often, or pleases the pods less; or none was seen."""
        offering = self._built.kinds.offerings[kind]
        told = f"of {choice} offerings that hold these pods, {_offered(other.offering)} is cheaper, "
        told += _more(other.more_micro_usd_hour)
        if other.offering.interruption_percent > offering.interruption_percent:
            return f"{told}, but interrupted more often ({other.offering.interruption_percent} % a month)"
        if self._displeases(kind, other, row > 0):
            return f"{told}, but does not meet their preferences as well"
        return f"{told}: the search did not change to it"

    def _displeases(self, kind: int, other: Alternative, inside: BoolArray) -> bool:
        preferences, kinds = self._problem.preferences, self._built.kinds
        if not len(preferences.cost):
            return False
        o = next(o for o, offering in enumerate(kinds.offerings) if offering is other.offering)
        profiles = preferences.profile[inside]
        costs = preferences.cost[profiles[profiles >= 0]]
        return bool((costs[:, o] > costs[:, kind]).any())


def _shares_left(problem: Problem, solution: Solution) -> list[IntArray]:
    """For each quota, [D] what the solution leaves of it."""
    quotas, left = problem.quotas, []
    for q, use in enumerate(quotas.use):
        rest = quotas.left[q].copy()
        held = [(quotas.domain[q][solution.node_kind], solution.node_pods @ use)]
        held.append((quotas.bin_domain[q], solution.bin_pods @ use))
        for domain, pods in held:
            counted = domain >= 0
            np.subtract.at(rest, domain[counted], pods[counted])
        left.append(rest)
    return left


def _others_schedulers(groups: Sequence[Group], row: IntArray) -> str:
    """Pods that we can only plan for: their scheduler does not go by our nominations."""
    inside = [groups[g] for g in map(int, np.flatnonzero(row))]
    names = {g.name: g.shape.scheduler_name for g in inside if not g.shape.is_pinnable}
    told = [f"{name} is placed by {scheduler}" for name, scheduler in names.items()]
    return f"{_few(told)}, which may put it elsewhere" if told else ""


def _whom(groups: Sequence[Group], row: IntArray) -> str:
    held: Counter[str] = Counter()
    for g in map(int, np.flatnonzero(row)):
        held[groups[g].name] += int(row[g]) * groups[g].bundle
    return _few([f"{number} x {name}" for name, number in held.most_common()])


def _names(names: Sequence[str]) -> str:
    return _few(list(dict.fromkeys(names)))


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _offered(offering: Offering) -> str:
    return f"{offering.instance_type} {offering.zone} {offering.capacity_type}"


def _more(micro: int) -> str:
    return f"{'-' if micro < 0 else '+'}${abs(micro) / 1_000_000:.4f}/h"
