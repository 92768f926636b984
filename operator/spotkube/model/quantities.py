"""Quantities as Kubernetes writes them: a number with an optional suffix, such as 500m, 2 or 1.5Gi.

The client library's parser is laxer ("1 Gi" passes) and costs a quarter of a second to import.
"""

import re
from decimal import Decimal
from typing import Final

_SUFFIXES: Final = {
    **{suffix: Decimal(10) ** exponent for suffix, exponent in zip(("n", "u", "m", ""), (-9, -6, -3, 0), strict=True)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([KMGTPE]i|[numkMGTPE]?)|([eE][+-]?[0-9]+))")


def is_quantity(text: str) -> bool:
    return _QUANTITY.fullmatch(text) is not None


def parse_quantity(text: str) -> Decimal:
    """The exact value of a Kubernetes quantity such as "500m" or "1.5Gi"; raises ValueError when it is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no quantity: write a number with an optional suffix, such as 500m, 2 or 8Gi")
    number, suffix, exponent = match.groups()
    return Decimal(number + exponent) if exponent else Decimal(number) * _SUFFIXES[suffix]
