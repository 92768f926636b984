"""Label selectors, node requirements, taints and tolerations, with the matching rules of Kubernetes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import PlainSerializer

T = TypeVar("T")
# Sets have another order in every process: what is stored of them must not.
SortedSet = Annotated[frozenset[T], PlainSerializer(sorted)]
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)


class Operator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on labels. NotIn also holds where the label is absent, as in Kubernetes."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
            case Operator.GT | Operator.LT:
                return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        left, right = _integer(value), _integer(self.values[0] if self.values else None)
        if left is None or right is None:
            return False
        return left > right if self.operator is Operator.GT else left < right

    def __str__(self) -> str:
        return f"{self.key} {self.operator}" + (f" [{', '.join(self.values)}]" if self.values else "")


def _integer(text: str | None) -> int | None:
    """What Kubernetes reads as a whole number of 64 bits; Python would also take 1_000 and " 1 "."""
    if text is None or not _WHOLE_NUMBER.fullmatch(text):
        return None
    return int(text) if -(2**63) <= int(text) < 2**63 else None


# All requirements of a term must hold.
Term = tuple[Requirement, ...]


def matches_all(term: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    return all(requirement.matches(labels) for requirement in term)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Selects pods by their labels. An empty selector selects all; a missing one (None where it may be) none."""

    requirements: Term = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return matches_all(self.requirements, labels)

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(requirement.key for requirement in self.requirements)


class TaintEffect(StrEnum):
    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    effect: TaintEffect
    value: str = ""

    def __str__(self) -> str:
        return f"{self.key}{'=' + self.value if self.value else ''}:{self.effect}"


@dataclass(frozen=True, slots=True)
class Toleration:
    """`key` "" with Exists tolerates everything; `effect` None every effect."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: TaintEffect | None = None

    def tolerates(self, taint: Taint) -> bool:
        if self.effect is not None and self.effect is not taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return bool(self.key) and self.value == taint.value


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> Taint | None:
    """The first taint that keeps a pod with these tolerations from being scheduled, if any."""
    tolerations = tuple(tolerations)
    for taint in taints:
        if taint.effect is TaintEffect.PREFER_NO_SCHEDULE:
            continue
        if not any(toleration.tolerates(taint) for toleration in tolerations):
            return taint
    return None
