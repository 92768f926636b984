"""Writes that the API server refused: told at once, repeated only when something changed or after a while."""

from collections.abc import Collection
from dataclasses import dataclass, field

from spotkube.cluster.errors import ApiError
from spotkube.controllers.workloads.status import Problem

RETRY_SECONDS = 60.0
"""What was refused may pass later without a change of ours: a quota was raised, an admission webhook is back."""

_REFUSALS = (400, 403, 404, 413, 422, 500)
"""500 is among them since that is what server-side apply answers to a field that the schema does not have."""


def is_refusal(error: ApiError) -> bool:
    """Whether the answer is about what was sent, and not about the API server being busy, away or changed since."""
    return error.status in _REFUSALS


@dataclass(frozen=True, slots=True)
class _Refusal:
    applied: str
    problem: Problem
    retry_at: float


@dataclass
class Refusals:
    """By the Workload's uid and the kind of what was refused; `applied` is the digest of what was sent."""

    _standing: dict[tuple[str, str], _Refusal] = field(default_factory=dict)

    def standing(self, uid: str, kind: str, applied: str, now: float) -> Problem | None:
        """The problem, as long as the same write need not be tried again."""
        refusal = self._standing.get((uid, kind))
        if refusal is None or refusal.applied != applied or now >= refusal.retry_at:
            return None
        return refusal.problem

    def add(self, uid: str, kind: str, applied: str, now: float, problem: Problem) -> Problem:
        self._standing[uid, kind] = _Refusal(applied, problem, now + RETRY_SECONDS)
        return problem

    def forget_all_but(self, uids: Collection[str]) -> None:
        self._standing = {key: refusal for key, refusal in self._standing.items() if key[0] in uids}
