"""Prices as they are believed: a feed that lies for a moment must not move a fleet."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from spotkube.model.cluster import Claim
from spotkube.model.offerings import Offering, OfferingKey

FACTOR = 4
"""A price that has risen or fallen by more than so much at once is not believed yet. Spot prices move by a few percent
a day, and never above the price on demand."""
HELD_SECONDS = 600.0
"""Then it is believed all the same."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Doubt:
    price_micro_usd_hour: int
    since: float


class PriceCheck:
    """Remembers what was believed last, in memory. After a restart it is what claims were bought at; of other offerings
    the first prices are believed."""

    def __init__(self) -> None:
        self._believed: dict[OfferingKey, int] = {}
        self._doubts: dict[OfferingKey, _Doubt] = {}
        self._told: frozenset[OfferingKey] = frozenset()
        self._last: tuple[Offering, ...] = ()

    @property
    def doubted(self) -> int:
        """How many prices are not believed."""
        return len(self._doubts)

    def recall(self, claims: Iterable[Claim]) -> None:
        """What these were bought at, unless something is believed already."""
        if not self._believed:
            self._believed = {one.offering: one.price_micro_usd_hour for one in claims if one.price_micro_usd_hour > 0}

    def check(self, offerings: tuple[Offering, ...], now: float) -> tuple[Offering, ...]:
        """The offerings with prices that can be believed. One that never had such a price is left out.

        Where all can, the very tuple: it is by that that the planner is told only of what is new.
        """
        if offerings is self._last and not self._doubts:
            return offerings
        self._last = offerings
        found = tuple(checked for offering in offerings if (checked := self._checked(offering, now)) is not None)
        if news := self._doubts.keys() - self._told:
            example = min(news)
            logger.warning(
                "%d prices have changed more than %d-fold or can't be, such as %d micro-dollars an hour for %s: the "
                "last ones stay in force for %.0f s",
                len(news), FACTOR, self._doubts[example].price_micro_usd_hour, example, HELD_SECONDS,
            )  # fmt: skip
        self._told = frozenset(self._doubts)
        return found if self._doubts else offerings

    def _checked(self, offering: Offering, now: float) -> Offering | None:
        key, price, last = offering.key, offering.price_micro_usd_hour, self._believed.get(offering.key)
        if price > 0 and (
            last is None or (last <= FACTOR * price and price <= FACTOR * last) or self._held(key, price, now)
        ):
            self._believed[key] = price
            self._doubts.pop(key, None)
            return offering
        doubt = self._doubts.get(key)
        if doubt is None or not _alike(doubt.price_micro_usd_hour, price):
            self._doubts[key] = _Doubt(price, now)
        return None if last is None else replace(offering, price_micro_usd_hour=last)

    def _held(self, key: OfferingKey, price: int, now: float) -> bool:
        doubt = self._doubts.get(key)
        return doubt is not None and _alike(doubt.price_micro_usd_hour, price) and now - doubt.since >= HELD_SECONDS


def _alike(one: int, other: int) -> bool:
    return one > 0 and other > 0 and one <= FACTOR * other and other <= FACTOR * one
