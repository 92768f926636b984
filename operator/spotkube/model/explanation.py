"""Why a plan is as it is: what excludes offerings, which change would help, what else was for sale, what rules cost."""

from dataclasses import dataclass
from typing import Any, Final

from spotkube.model.offerings import Offering

POD: Final = "Pod"
WORKLOAD: Final = "Workload"
NODE_POOL: Final = "NodePool"
OFFERING: Final = "Offering"


@dataclass(frozen=True, slots=True)
class Edit:
    """What a change does to the objects `names` of a Snapshot (pods by uid, Workloads by key, NodePools by name).

    Of a tuple, `attribute` loses the entries `remove` and gets the entries `add`; of anything else, it gets `value`.
    """

    names: tuple[str, ...]
    attribute: str
    remove: tuple[Any, ...] = ()
    add: tuple[Any, ...] = ()
    value: Any = None


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one field of one object, in words and as an edit.

    `kind` and `name` are of the object that a user would change, `field` is where it stands in its manifest, `before`
    and `after` are its values ("" for none). `rank` says how much it asks of the user: of changes that are as many, the
    ones with the lower ranks are told.
    """

    kind: str
    name: str
    field: str
    before: str
    after: str
    words: str
    rank: int
    edit: Edit


@dataclass(frozen=True, slots=True)
class Exclusion:
    """How many offerings one constraint excludes all by itself."""

    constraint: str
    offerings: int


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another offering for the pods of a node to buy; `more_micro_usd_hour` than that node costs it."""

    pool: str
    offering: Offering
    more_micro_usd_hour: int


@dataclass(frozen=True, slots=True)
class ConstraintCost:
    """What one constraint costs: the cheapest plan known with it less the plan found without it.

    `certain_micro_usd_hour` is proven: no plan that keeps the constraint comes nearer to the one found without it.
    `by_bounds_micro_usd_hour` is by how much lower the bound is without it: an estimate without the luck of a search.
    `more_pods` is how many more pods have a place without it; where there are any, the costs are of different pods.
    """

    constraint: str
    without: Change
    micro_usd_hour: int
    certain_micro_usd_hour: int
    by_bounds_micro_usd_hour: int = 0
    more_pods: int = 0


@dataclass(frozen=True, slots=True)
class Costs:
    """The constraints that cost something, dearest first; how many were tried, and those (in words) that were not."""

    costs: tuple[ConstraintCost, ...]
    tried: int
    not_tried: tuple[str, ...]
