"""Which of many label sets meet a requirement: one boolean a row, computed once per distinct value and remembered."""

from collections.abc import Iterable, Sequence

import numpy as np

from spotkube.model.pods import Labels
from spotkube.model.selectors import Operator, Requirement, Taint, TaintEffect, Term, Toleration, untolerated
from spotkube.planner.problem import BoolArray


class LabelTable:
    """Rows are nodes or node kinds: their labels and taints."""

    def __init__(self, labels: Sequence[Labels], taints: Sequence[tuple[Taint, ...]]) -> None:
        self.labels, self.taints = labels, taints
        self._rows = [dict(row) for row in labels]
        self._requirements: dict[Requirement, BoolArray] = {}
        self._tolerations: dict[tuple[Toleration, ...], BoolArray] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def column(self, key: str) -> list[str | None]:
        return [row.get(key) for row in self._rows]

    def has(self, key: str, value: str | None) -> BoolArray:
        """[rows] whose label is `value`; None where they lack it."""
        if value is None:
            return self.requirement(Requirement(key, Operator.DOES_NOT_EXIST))
        return self.requirement(Requirement(key, Operator.IN, (value,)))

    def requirement(self, requirement: Requirement) -> BoolArray:
        known = self._requirements.get(requirement)
        if known is None:
            verdict: dict[str | None, bool] = {}
            values = self.column(requirement.key)
            for value in set(values):
                verdict[value] = requirement.matches({} if value is None else {requirement.key: value})
            known = np.fromiter((verdict[value] for value in values), dtype=np.bool_, count=len(self))
            self._requirements[requirement] = known
        return known

    def all_of(self, term: Iterable[Requirement]) -> BoolArray:
        mask = np.ones(len(self), dtype=np.bool_)
        for requirement in term:
            mask &= self.requirement(requirement)
        return mask

    def any_of(self, terms: Sequence[Term]) -> BoolArray:
        """Where at least one of the ORed terms holds; everywhere if there is none."""
        if not terms:
            return np.ones(len(self), dtype=np.bool_)
        mask = np.zeros(len(self), dtype=np.bool_)
        for term in terms:
            mask |= self.all_of(term)
        return mask

    def avoided(self, tolerations: tuple[Toleration, ...]) -> BoolArray:
        """Where a taint with effect PreferNoSchedule is not tolerated."""
        verdict = {
            taints: any(
                taint.effect is TaintEffect.PREFER_NO_SCHEDULE and not any(t.tolerates(taint) for t in tolerations)
                for taint in taints
            )
            for taints in set(self.taints)
        }
        return np.fromiter((verdict[taints] for taints in self.taints), dtype=np.bool_, count=len(self))

    def tolerated(self, tolerations: tuple[Toleration, ...]) -> BoolArray:
        known = self._tolerations.get(tolerations)
        if known is None:
            verdict = {taints: untolerated(taints, tolerations) is None for taints in set(self.taints)}
            known = np.fromiter((verdict[taints] for taints in self.taints), dtype=np.bool_, count=len(self))
            self._tolerations[tolerations] = known
        return known
