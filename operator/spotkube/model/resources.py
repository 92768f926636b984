"""Amounts of resources as Kubernetes counts them, in whole numbers: cpu in millicores, memory in bytes."""

import math
from collections.abc import Iterator, Mapping
from decimal import InvalidOperation

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from spotkube.model.quantities import parse_quantity

CPU = "cpu"
MEMORY = "memory"
PODS = "pods"
EPHEMERAL_STORAGE = "ephemeral-storage"
# Larger amounts can't be meant, and sums of them would leave the 64 bits that the planner's arrays have.
MAX_AMOUNT = 2**53

Quantity = str | int | float


def parse_amount(name: str, quantity: Quantity) -> int:
    """The quantity in the unit that `name` is counted in, rounded up. Raises ValueError naming resource and value."""
    amount = _parse(name, quantity)
    if amount > MAX_AMOUNT:
        raise ValueError(f"{name}: {quantity!r} is more than any node can have; check its suffix")
    return amount


def parse_request(name: str, quantity: Quantity) -> int:
    """As `parse_amount`; what is more than any node can have, which Kubernetes takes, counts as MAX_AMOUNT."""
    return min(_parse(name, quantity), MAX_AMOUNT)


def _parse(name: str, quantity: Quantity) -> int:
    # A float is meant as it is written: 0.1 is 100m, and not the 101m that its binary value rounds up to.
    text = "" if isinstance(quantity, bool) else str(quantity)
    try:
        value = parse_quantity(text)
        amount = math.ceil(value * 1000 if name == CPU else value)
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise ValueError(f"{name}: {quantity!r} is no quantity; write it as in 500m, 2, 1.5Gi") from error
    if amount < 0:
        raise ValueError(f"{name}: {quantity!r} is negative; give zero or more")
    return amount


class ResourceList(Mapping[str, int]):
    """An immutable, hashable amount of each resource; a resource that is absent counts as zero."""

    __slots__ = ("_amounts", "_hash")

    def __init__(self, amounts: Mapping[str, int] | None = None) -> None:
        self._amounts = {name: amount for name, amount in sorted((amounts or {}).items()) if amount}
        self._hash = hash(tuple(self._amounts.items()))

    @classmethod
    def from_quantities(cls, quantities: Mapping[str, Quantity] | None) -> "ResourceList":
        """Parses a map such as `{"cpu": "500m", "memory": "1Gi"}`. Raises ValueError."""
        return cls({name: parse_amount(name, quantity) for name, quantity in (quantities or {}).items()})

    def __getitem__(self, name: str) -> int:
        return self._amounts.get(name, 0)

    def get(self, name: str, default: int = 0) -> int:  # type: ignore[override]
        return self._amounts.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._amounts)

    def __contains__(self, name: object) -> bool:
        return name in self._amounts

    def __len__(self) -> int:
        return len(self._amounts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceList) and self._amounts == other._amounts

    def __reduce__(self) -> tuple[type["ResourceList"], tuple[dict[str, int]]]:
        # Hashes of strings differ from process to process, so the stored one must not travel.
        return ResourceList, (self._amounts,)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        # In stored snapshots it is the plain map that it is made of.
        written = core_schema.plain_serializer_function_ser_schema(dict)
        return core_schema.no_info_after_validator_function(cls, handler(dict[str, int]), serialization=written)

    def __repr__(self) -> str:
        return f"ResourceList({self._amounts})"

    def __add__(self, other: Mapping[str, int]) -> "ResourceList":
        return ResourceList({name: self[name] + other.get(name, 0) for name in {*self, *other}})

    def __sub__(self, other: Mapping[str, int]) -> "ResourceList":
        return ResourceList({name: self[name] - other.get(name, 0) for name in {*self, *other}})

    def maximum(self, other: Mapping[str, int]) -> "ResourceList":
        """The larger amount of each resource."""
        return ResourceList({name: max(self[name], other.get(name, 0)) for name in {*self, *other}})

    def fits(self, room: Mapping[str, int]) -> bool:
        """Whether this much goes into `room`."""
        return all(amount <= room.get(name, 0) for name, amount in self._amounts.items())

    def to_quantities(self) -> dict[str, str]:
        """As Kubernetes writes it: cpu in millicores, the rest as whole numbers (memory in Ki where that is exact)."""
        return {name: _format(name, amount) for name, amount in self._amounts.items()}


def _format(name: str, amount: int) -> str:
    if name == CPU:
        return f"{amount}m" if amount % 1000 else str(amount // 1000)
    if name in (MEMORY, EPHEMERAL_STORAGE) and amount % 1024 == 0:
        return f"{amount // 1024}Ki"
    return str(amount)
