"""Requirement: what a label of a pool's nodes must be, with the operators of a node selector."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from spotkube.api.fields import LabelKey, LabelValue
from spotkube.api.rules import Rule, SpecModel
from spotkube.model import labels

OWN_PREFIX: Final = f"{labels.GROUP}/"


class Operator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


_VALUE_COUNTS: Final = {Operator.IN: (1, 100), Operator.NOT_IN: (1, 100), Operator.GT: (1, 1), Operator.LT: (1, 1)}


def _values_fit(requirement: "Requirement") -> bool:
    lowest, highest = _VALUE_COUNTS.get(requirement.operator, (0, 0))
    return lowest <= len(requirement.values) <= highest


def _enough_values(requirement: "Requirement") -> bool:
    return requirement.operator is not Operator.IN or len(requirement.values) >= (requirement.min_values or 0)


def _bound_is_integer(requirement: "Requirement") -> bool:
    if requirement.operator not in (Operator.GT, Operator.LT):
        return True
    return all(re.fullmatch("[0-9]{1,18}", value) for value in requirement.values)


class Requirement(SpecModel):
    """What a label of the nodes must be; several on one pool must all hold."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) >= 1"
            " : self.operator in ['Gt', 'Lt'] ? has(self.values) && size(self.values) == 1"
            " : !has(self.values) || size(self.values) == 0",
            "values don't fit the operator: give In and NotIn at least one, Gt and Lt exactly one, Exists and "
            "DoesNotExist none",
            _values_fit,
        ),
        Rule(
            "!(self.operator in ['Gt', 'Lt']) || !has(self.values) || self.values.all(v, v.matches('^[0-9]{1,18}$'))",
            'Gt and Lt compare whole numbers: write the bound as one, in quotes, such as "4"',
            _bound_is_integer,
        ),
        Rule(
            "!has(self.minValues) || self.operator != 'In' || !has(self.values) || size(self.values) >= self.minValues",
            "minValues is more than there are values to choose from: lower it, or add values",
            _enough_values,
        ),
        Rule(
            "!has(self.minValues) || self.operator != 'DoesNotExist'",
            "minValues counts values of a label, which DoesNotExist excludes: remove one of the two",
            lambda item: item.min_values is None or item.operator is not Operator.DOES_NOT_EXIST,
        ),
        Rule(
            f"!self.key.startsWith('{OWN_PREFIX}') || self.key in [{', '.join(map(repr, labels.OFFERING_LABELS))}]",
            f"no such label of ours: choose from {', '.join(labels.OFFERING_LABELS)}",
            lambda item: not item.key.startswith(OWN_PREFIX) or item.key in labels.OFFERING_LABELS,
        ),
        Rule(
            f"self.key != '{labels.CAPACITY_TYPE}' || !has(self.values)"
            " || self.values.all(v, v in ['spot', 'on-demand'])",
            "no such capacity type: write spot or on-demand",
            lambda item: item.key != labels.CAPACITY_TYPE or set(item.values) <= {"spot", "on-demand"},
        ),
        Rule(
            f"self.key != '{labels.HOSTNAME}'",
            "kubernetes.io/hostname is not known before a node is bought: require an instance type, a zone or a "
            "label instead",
            lambda item: item.key != labels.HOSTNAME,
        ),
    )

    key: LabelKey
    """The label, such as spotkube.io/instance-family, node.kubernetes.io/instance-type, topology.kubernetes.io/zone,
    kubernetes.io/arch or spotkube.io/capacity-type."""
    operator: Operator
    """In, NotIn, Exists, DoesNotExist, Gt or Lt."""
    values: Annotated[tuple[LabelValue, ...], Field(max_length=100)] = ()
    """At least one for In and NotIn, exactly one whole number for Gt and Lt, none for Exists and DoesNotExist."""
    min_values: Annotated[int, Field(ge=1, le=50)] | None = None
    """Among so many different values of the label there must be a choice: the pool buys nothing for pods for which
    fewer are left, so that it does not hang on a single instance type or zone. From 1 to 50."""
