"""All that a pod may stand on, as rows of one table: what may be bought, the bins, and nodes that take no more pods."""

from collections.abc import Sequence

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.cluster import Snapshot
from spotkube.model.pods import Labels
from spotkube.model.selectors import Taint, TaintEffect
from spotkube.planner.formulation.bins import Bin
from spotkube.planner.formulation.kinds import Kinds
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.formulation.scopes import COUNTED, Key, Scope
from spotkube.planner.problem import BoolArray, IntArray

# Keys whose value is another one on each node: rules over them are about pods that share a node.
NODE_KEYS = frozenset({keys.HOSTNAME, keys.NODECLAIM})
# The value of a topology key, None where a node lacks it.
Value = str | None
_CORDONED = Taint("node.kubernetes.io/unschedulable", TaintEffect.NO_SCHEDULE)


class Places:
    """Rows: the O kinds, then the B bins, then nodes that stay and take no more pods (their pods still count)."""

    def __init__(self, kinds: Kinds, bins: Sequence[Bin], others: Sequence[tuple[Labels, tuple[Taint, ...]]]) -> None:
        self.kinds, self.bins = len(kinds), len(bins)
        labels = [*kinds.table.labels, *(b.labels for b in bins), *(labels for labels, _ in others)]
        taints = [*kinds.table.taints, *(b.taints for b in bins), *(taints for _, taints in others)]
        self.table = LabelTable(labels, taints)
        names = [dict(labels).get("metadata.name", "") for labels in labels]
        self._row = {name: row for row, name in enumerate(names) if row >= self.kinds}
        self._codes: dict[Key, tuple[list[Value], IntArray]] = {}
        self._counted: dict[Scope, BoolArray] = {}

    def __len__(self) -> int:
        return len(self.table)

    @property
    def is_node(self) -> BoolArray:
        """[rows] what is there, as against what could be bought."""
        return np.arange(len(self)) >= self.kinds

    def row_of(self, node: str) -> int | None:
        return self._row.get(node)

    def values(self, key: Key) -> tuple[list[Value], IntArray]:
        """The values of a topology key, and [rows] which of them each row has."""
        if key not in self._codes:
            column = self._column(key)
            values = sorted(set(column), key=lambda value: (value is None, value))
            index: dict[Value, int] = {value: code for code, value in enumerate(values)}
            self._codes[key] = values, np.fromiter((index[value] for value in column), np.int64, len(self))
        return self._codes[key]

    def _column(self, key: Key) -> list[Value]:
        if isinstance(key, Scope):
            return [COUNTED if counted else None for counted in self.counted(key)]
        return self.table.column(key)

    def value(self, row: int, key: str) -> Value:
        values, codes = self.values(key)
        return values[int(codes[row])]

    def values_among(self, key: str, rows: BoolArray) -> set[Value]:
        values, codes = self.values(key)
        return {values[code] for code in np.unique(codes[rows])}

    def counted(self, scope: Scope) -> BoolArray:
        """[rows] whose pods a spread counts."""
        if scope not in self._counted:
            self._counted[scope] = scope.mask(self.table)
        return self._counted[scope]


def other_nodes(snapshot: Snapshot, bins: Sequence[Bin]) -> list[tuple[Labels, tuple[Taint, ...]]]:
    """Labels and taints of the nodes that stay and are no bins."""
    leaving = {claim.node or claim.name for claim in snapshot.claims if claim.leaving}
    taken = {dict(b.labels)["metadata.name"] for b in bins} | leaving
    return [
        (
            tuple(sorted({**dict(node.labels), "metadata.name": node.name}.items())),
            (*node.taints, _CORDONED) if node.unschedulable else node.taints,
        )
        for node in snapshot.nodes
        if node.name not in taken
    ]
