"""What one seed does to the life of nodes: many faults at once, as they come where something is wrong."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Victims(StrEnum):
    """Which spot machines are taken back, all at the same moment."""

    ONE = "one machine"
    HALF = "half of all machines"
    ZONE = "all of a zone"


@dataclass(frozen=True, slots=True)
class Storm:
    """Shares are of the requests that a proxy harms; `kill_after_seconds` is from the notices on, None: no kill.

    `clock_ahead_seconds` is how far the operator's clock is ahead of the API server's. The service's budget lets
    `evictable` pods go at once. `never_register` and `die_early` count machines that are bought after the notices.
    Where it is `sold_out`, what is taken back can't be bought again. A `neighbour` cordons and drains those nodes too,
    as handlers of notices do that a cluster may have besides. A `meddler` edits our objects all the time, opens the
    nodes again that are closed, and scales the Workload's Deployment down and up by hand. From the notices on, prices
    are `price_times` what they were.
    """

    seed: int
    api_share: float
    cloud_share: float
    clock_ahead_seconds: float
    victims: Victims
    evictable: int
    notice_seconds: float
    sold_out: bool
    never_register: int
    die_early: int
    kill_after_seconds: float | None
    neighbour: bool
    meddler: bool
    price_times: float

    @classmethod
    def drawn(cls, seed: int) -> Storm:
        chance = random.Random(f"storm {seed}")  # the first draws of neighbouring numbers are alike
        return cls(
            seed=seed,
            api_share=chance.choice((0.0, 0.1, 0.2)),
            cloud_share=chance.choice((0.0, 0.15, 0.3)),
            clock_ahead_seconds=chance.choice((-300.0, 0.0, 300.0)),
            victims=chance.choice(tuple(Victims)),
            evictable=chance.choice((0, 1)),
            notice_seconds=chance.choice((30.0, 45.0)),
            sold_out=chance.random() < 0.5,
            never_register=chance.choice((0, 0, 1)),
            die_early=chance.choice((0, 0, 1, 2)),
            kill_after_seconds=chance.choice((None, chance.uniform(0.0, 10.0))),
            neighbour=chance.random() < 0.5,
            meddler=chance.random() < 0.5,
            # A rise to be reckoned with, and a feed that lies.
            price_times=chance.choice((1.0, 1.0, 1.5, 0.02)),
        )

    def pick(self, machines: Mapping[str, str]) -> list[str]:
        """Which of the machines, names with their zones, are taken back."""
        names, chance = sorted(machines), random.Random(f"victims {self.seed}")
        if self.victims is Victims.ONE:
            return [chance.choice(names)]
        if self.victims is Victims.HALF:
            return sorted(chance.sample(names, -(-len(names) // 2)))
        zone = chance.choice(sorted(set(machines.values())))
        return [name for name in names if machines[name] == zone]
