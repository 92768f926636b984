"""Required pod affinity: in which domains a group finds the pods that it wants to be with, or may be the first.

kube-scheduler looks for pods that match *all* terms, and asks of each term's topology that one of them is there. If
there is none anywhere, a pod that matches its own terms may go first, wherever all the topologies exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.ledger import Domain, Ledger
from spotkube.planner.formulation.places import NODE_KEYS
from spotkube.planner.formulation.subjects import Subject
from spotkube.planner.problem import BoolArray, IntArray


class Company(Enum):
    """Whom a group with required pod affinity joins."""

    OTHERS = "others"  # pods that are there, or are planned before
    ITSELF = "itself"  # the first of its own pods
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Joined:
    """`barred` is where nobody is to be with; over nodes, the group has to be `beside` these."""

    company: Company
    barred: frozenset[Domain] = frozenset()
    beside: frozenset[Subject] | None = None


def meant_by(group: Group, ledger: Ledger) -> frozenset[Subject]:
    return ledger.subjects.meant_by_all(group.shape.affinity)


def keys_of(group: Group) -> list[str]:
    return list(dict.fromkeys(term.topology_key for term in group.shape.affinity))


def on_one_node(group: Group) -> bool:
    """A pod that is on the same node is in the same domain of every other key as well."""
    return any(key in NODE_KEYS for key in keys_of(group))


def join(group: Group, ledger: Ledger) -> Joined:
    """Where the pods are that it wants to be with, of those that stand and those already planned."""
    meant, keys, places = meant_by(group, ledger), keys_of(group), ledger.places
    if on_one_node(group):
        there = any(_has_keys(ledger, row, keys) for subject in meant for row in ledger.rows(subject))
        if there or ledger.planned(meant):
            return Joined(Company.OTHERS, beside=meant)
    else:
        found = {key: ledger.domains(meant, key) for key in keys}
        if any(found.values()):
            barred = {(key, value) for key in keys for value in places.values(key)[0] if value not in found[key]}
            return Joined(Company.OTHERS, frozenset(barred))
    return Joined(Company.ITSELF if group.subject in meant else Company.NOBODY)


def as_bundle(group: Group, together: int) -> Group:
    """The pods that attract each other to one node as one, as many as fit there; the rest is left out."""
    pods = group.pods[:together]
    return replace(group, pods=pods, bundle=len(pods), sure_count=min(group.sure_count, 1))


def next_in_turn(waiting: Sequence[Group], ledger: Ledger) -> Group | None:
    """Who of those with pod affinity is decided next: who waits for no other, or else can begin; None if nobody can."""
    pending = {group.subject for group in waiting}
    free = next((g for g in waiting if not (meant_by(g, ledger) & pending) - {g.subject}), None)
    if free is not None:
        return free
    return next((g for g in waiting if join(g, ledger).company is not Company.NOBODY), None)


def why_alone(group: Group) -> str:
    return (
        f"required pod affinity over {' and '.join(keys_of(group))} finds no pod: none that matches runs or is planned"
    )


def why_circle(group: Group, waiting: Sequence[Group], ledger: Ledger) -> str:
    others = sorted({other.name for other in waiting if other.subject in meant_by(group, ledger)})
    return (
        f"required pod affinity over {' and '.join(keys_of(group))} goes round in a circle: it waits for "
        f"{', '.join(others)}, which in the end wait for it, and none of them runs"
    )


def _has_keys(ledger: Ledger, row: int, keys: Sequence[str]) -> bool:
    return any(ledger.places.value(row, key) is not None for key in keys)


@dataclass(frozen=True, eq=False)
class NodeNeeds:
    """Who has to be beside whom on one node.

    Attributes:
        of: [N] the group that needs it.
        member: [N, G] groups of which one pod is enough.
        met: [N, B] bins on which such a pod stands already.
        kind_allowed: [G] whether a node to buy may hold the group at all.
        bin_allowed: [G, B] likewise each bin.
    """

    of: IntArray
    member: BoolArray
    met: BoolArray
    kind_allowed: BoolArray
    bin_allowed: BoolArray


def needs_of(groups: Sequence[Group], ledger: Ledger) -> NodeNeeds:
    """Where nothing that is planned would do, it is simply a matter of which bins will do."""
    places = ledger.places
    kind_allowed = np.ones(len(groups), dtype=np.bool_)
    bin_allowed = np.ones((len(groups), places.bins), dtype=np.bool_)
    of: list[int] = []
    members: list[list[bool]] = []
    met: list[BoolArray] = []
    for g, group in enumerate(groups):
        if group.beside is None:
            continue
        there = np.zeros(len(places), dtype=np.bool_)
        there[[row for subject in group.beside for row in ledger.rows(subject)]] = True
        there = there[places.kinds : places.kinds + places.bins]
        planned = [other.subject in group.beside and other.turn < group.turn for other in groups]
        if any(planned):
            of.append(g)
            members.append(planned)
            met.append(there)
        else:
            kind_allowed[g], bin_allowed[g] = False, there
    shape = len(of), len(groups)
    return NodeNeeds(
        np.array(of, dtype=np.int64),
        np.array(members, dtype=np.bool_).reshape(shape),
        np.array(met, dtype=np.bool_).reshape(len(of), places.bins),
        kind_allowed,
        bin_allowed,
    )
