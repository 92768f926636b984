"""The catalog: every offering that may be bought, from the shipped facts or from a file of the user's own."""

import difflib
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from spotkube.catalog.families import read_families
from spotkube.catalog.specs import InstanceSpec, Price, offerings_of
from spotkube.catalog.userfile import read_user_file
from spotkube.model.offerings import Offering, OfferingKey


class UnknownFamilyError(ValueError):
    """A family that the catalog doesn't have; the message names the nearest ones."""


@dataclass(frozen=True)
class Catalog:
    """Types of one region with their prices. `offerings` are sorted by key: the order of a file changes no plan."""

    region: str
    types: tuple[tuple[InstanceSpec, tuple[Price, ...]], ...]

    @cached_property
    def offerings(self) -> tuple[Offering, ...]:
        made = (offering for spec, prices in self.types for offering in offerings_of(spec, self.region, prices))
        return tuple(sorted(made, key=lambda offering: offering.key))

    @cached_property
    def digest(self) -> str:
        """A hash of all that a plan can depend on, for replay: equal digests, equal offerings."""
        content = hashlib.sha256()
        for offering in self.offerings:
            content.update(repr(offering).encode())
        return f"sha256:{content.hexdigest()}"

    @cached_property
    def families(self) -> tuple[str, ...]:
        return tuple(sorted({spec.family for spec, _ in self.types}))

    @cached_property
    def zones(self) -> tuple[str, ...]:
        return tuple(sorted({price.zone for _, prices in self.types for price in prices}))

    @cached_property
    def _by_key(self) -> dict[OfferingKey, Offering]:
        return {offering.key: offering for offering in self.offerings}

    def find(self, instance_type: str, zone: str, capacity_type: str) -> Offering | None:
        return self._by_key.get(OfferingKey(instance_type, zone, capacity_type))

    def only_families(self, families: Collection[str]) -> "Catalog":
        """The same catalog with these families alone. Raises UnknownFamilyError."""
        for family in families:
            if family not in self.families:
                raise UnknownFamilyError(_unknown_family(family, self.families))
        return Catalog(self.region, tuple(entry for entry in self.types if entry[0].family in families))


def load_catalog(path: Path | None = None) -> Catalog:
    """The shipped catalog, or the user's file. Raises CatalogFileError naming entry, field, value and remedy."""
    if path is None:
        return _shipped_catalog()
    region, types = read_user_file(path)
    return Catalog(region, types)


@lru_cache(maxsize=1)
def _shipped_catalog() -> Catalog:
    region, zones, types = read_families()
    return Catalog(region, tuple((shipped.spec, tuple(shipped.prices(zones))) for shipped in types))


def _unknown_family(family: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(family.partition(".")[0].lower(), known, n=5, cutoff=0.5)
    near += [name for name in known if name.startswith(family) and name not in near][: 5 - len(near)]
    remedy = f"did you mean {', '.join(near)}?" if near else f"the catalog has {', '.join(known)}"
    return f"family: {family!r} is not in the catalog; {remedy}"
