"""Pods joined to their volumes, cycle after cycle: where nothing differs they are the objects of the last time, so that
what was made of them is kept too."""

import operator
from collections.abc import Sequence

from spotkube.convert.binding import with_volumes
from spotkube.model.pods import Pod
from spotkube.model.volumes import Storage


class JoinedVolumes:
    def __init__(self) -> None:
        # With the objects themselves, so that none of their ids is given to another one.
        self._parts: tuple[object, ...] = ()
        self._joined: dict[str, Pod] = {}

    def of_all(self, pods: Sequence[Pod], storage: Storage) -> list[Pod]:
        """As `with_volumes`, of pods of which no two have one uid."""
        users = [pod for pod in pods if pod.claims]
        parts = (*users, *storage.claims.values(), *storage.volumes.values(), *storage.classes.values())
        if not _identical(parts, self._parts):
            last, found = self._joined, with_volumes(users, storage)
            self._joined = {pod.uid: old if (old := last.get(pod.uid)) == pod else pod for pod in found}
            self._parts = parts
        return [self._joined[pod.uid] if pod.claims else pod for pod in pods]


def _identical(parts: Sequence[object], others: Sequence[object]) -> bool:
    return len(parts) == len(others) and all(map(operator.is_, parts, others))
