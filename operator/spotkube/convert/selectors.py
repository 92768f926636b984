"""Label selectors, node selector terms, taints and tolerations from their JSON form."""

from collections.abc import Iterable, Mapping
from typing import Any

from spotkube.model.selectors import LabelSelector, Operator, Requirement, Taint, TaintEffect, Term, Toleration

Json = Mapping[str, Any]

NOWHERE: Term = (Requirement("metadata.name", Operator.IN, ()),)
"""A term that no node meets."""


def to_label_selector(selector: Json | None) -> LabelSelector | None:
    """None (which selects nothing) stays None."""
    if selector is None:
        return None
    equals = [Requirement(key, Operator.IN, (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    return LabelSelector(tuple(sorted([*equals, *to_requirements(selector.get("matchExpressions") or ())], key=str)))


def to_requirements(expressions: Iterable[Json]) -> Term:
    return tuple(
        Requirement(e["key"], Operator(e["operator"]), tuple(str(value) for value in e.get("values") or ()))
        for e in expressions
    )


def to_affinity_terms(affinity: Json | None) -> tuple[Term, ...]:
    """The ORed terms of required node affinity; a term without any expression matches nothing, as in Kubernetes."""
    required = (affinity or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = []
    for term in required.get("nodeSelectorTerms") or ():
        requirements = _to_term(term)
        if requirements:
            terms.append(requirements)
    if required and not terms:
        return (NOWHERE,)
    return tuple(terms)


def to_preferred_terms(affinity: Json | None) -> tuple[tuple[int, Term], ...]:
    """The terms of preferred node affinity with their weights; an empty term means nothing, as in Kubernetes."""
    preferred = (affinity or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    terms = [(int(one["weight"]), _to_term(one.get("preference") or {})) for one in preferred]
    return tuple(sorted(((weight, term) for weight, term in terms if weight and term), key=str))


def _to_term(term: Json) -> Term:
    return to_requirements([*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())])


def to_taints(taints: Iterable[Json] | None) -> tuple[Taint, ...]:
    return tuple(Taint(t["key"], TaintEffect(t["effect"]), t.get("value") or "") for t in taints or ())


def to_tolerations(tolerations: Iterable[Json] | None) -> tuple[Toleration, ...]:
    return tuple(
        sorted(
            {
                Toleration(
                    t.get("key") or "",
                    t.get("operator") or "Equal",
                    t.get("value") or "",
                    TaintEffect(t["effect"]) if t.get("effect") else None,
                )
                for t in tolerations or ()
            },
            key=str,
        )
    )
