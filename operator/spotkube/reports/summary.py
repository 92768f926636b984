"""What a Plan comes to, with pods by name: what both the tables and the JSON are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spotkube.model.explanation import Costs
from spotkube.model.plan import Plan

MICRO_USD = 1_000_000


@dataclass(frozen=True, slots=True)
class Replay:
    """The digests of the plan that was recorded, and of the one that came out now."""

    recorded: str
    found: str

    @property
    def same(self) -> bool:
        return self.recorded == self.found

    def __str__(self) -> str:
        if self.same:
            return f"this is the recorded plan, bit for bit (SHA-256 {self.found[:12]})"
        return (
            f"this is not the recorded plan (its SHA-256 is {self.found[:12]}, recorded was {self.recorded[:12]}): "
            "other versions of libraries or another kind of processor may round differently; replay it with the image "
            "that made it, on a machine like that one"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A Plan, the name of each pod by uid, the remarks to print with it, and what could not be planned at all.

    `costs` are those of the constraints, where they were asked for.
    """

    plan: Plan
    pod_names: Mapping[str, str]
    seed: int
    notes: Sequence[str] = ()
    errors: Sequence[str] = ()
    replay: Replay | None = None
    costs: Costs | None = None

    def names(self, uids: Sequence[str]) -> list[str]:
        return [self.pod_names.get(uid, uid) for uid in uids]

    @property
    def unplaceable_pods(self) -> int:
        return sum(len(one.pods) for one in self.plan.unplaceable)

    @property
    def planned_pods(self) -> int:
        """Pods that waited for a node and have one in the plan."""
        placed = sum(len(node.pods) for node in self.plan.additions) + len(self.plan.placements)
        return placed - self.plan.moved_pods

    @property
    def bought_micro_usd_hour(self) -> int:
        return sum(node.offering.price_micro_usd_hour for node in self.plan.additions)


def usd(micro_usd: int) -> float:
    return micro_usd / MICRO_USD


def usd_or_none(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else usd(micro_usd)
