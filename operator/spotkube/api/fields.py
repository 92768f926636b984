"""Scalar types of the API: quantities, durations, times, names. Each validates in Python as the API server does."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, WithJsonSchema

from spotkube.api.rules import VALIDATIONS, Rule
from spotkube.model.quantities import is_quantity, parse_quantity

_LABEL_KEY = re.compile("^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
_DURATION = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")


def parse_duration_seconds(text: str) -> int:
    """The seconds in a duration such as "90s", "20m" or "1h30m"; raises ValueError when it is none."""
    match = _DURATION.fullmatch(text) if text else None
    if match is None:
        raise ValueError(
            f"{text!r} is no duration: write hours, minutes and seconds in this order, such as 90s, 20m or 1h30m"
        )
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def _is_duration(text: str) -> bool:
    return bool(text) and _DURATION.fullmatch(text) is not None


def _int_as_text(value: Any) -> Any:
    """Integers may stand without quotes; a float may not, since the API server refuses it too."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _int_or_string(*rules: Rule) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 32,
            VALIDATIONS: [rule.as_schema() for rule in rules],
        }
    )


# Not the usual `pattern`: its refusal prints a regular expression of a hundred characters instead of the remedy.
_WELL_FORMED = Rule(
    "isQuantity(string(self))",
    "not a quantity: write a number with an optional suffix, such as 500m, 2 or 8Gi",
    is_quantity,
)
_NOT_NEGATIVE = Rule(
    "!isQuantity(string(self)) || !quantity(string(self)).isLessThan(quantity('0'))",
    "a quantity may not be negative: write 0 for none, or leave the entry out for no limit",
    lambda text: parse_quantity(text) >= 0,
)
Quantity = Annotated[
    str,
    Field(max_length=32),
    BeforeValidator(_int_as_text),
    _WELL_FORMED,
    _NOT_NEGATIVE,
    _int_or_string(_WELL_FORMED, _NOT_NEGATIVE),
]
"""A resource.Quantity that is not negative, as text: "500m", "8Gi", "3"."""

_COUNT_OR_PERCENT = Rule(
    "type(self) == int ? int(self) >= 0 : string(self).matches('^(100|[0-9]{1,2})%$')",
    "write a number of pods such as 2 without quotes, or a percentage from 0% to 100% such as 50%",
    lambda value: value >= 0 if isinstance(value, int) else re.fullmatch("(100|[0-9]{1,2})%", value) is not None,
)
CountOrPercent = Annotated[int | str, _COUNT_OR_PERCENT, _int_or_string(_COUNT_OR_PERCENT)]
"""A count of pods (an int) or a share of them ("50%"), as a PodDisruptionBudget takes it."""

_DURATION_CEL = "self != '' && self.matches('^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$')"
Duration = Annotated[
    str,
    Field(max_length=24),
    Rule(
        _DURATION_CEL,
        "not a duration: write hours, minutes and seconds in this order, such as 0s, 90s, 20m or 1h30m",
        _is_duration,
    ),
]
"""A duration of whole seconds, as text; see parse_duration_seconds."""
PositiveDuration = Annotated[
    str,
    Field(max_length=24),
    Rule(
        f"{_DURATION_CEL} && duration(self) > duration('0s')",
        "must be a duration above zero: write hours, minutes and seconds in this order, such as 90s, 20m or 1h30m",
        lambda text: _is_duration(text) and parse_duration_seconds(text) > 0,
    ),
]


def _whole_utc_seconds(time: datetime) -> datetime:
    """metav1.Time has whole seconds; rounding down is the safe way for a deadline."""
    return time.astimezone(UTC).replace(microsecond=0)


Time = Annotated[AwareDatetime, AfterValidator(_whole_utc_seconds)]
"""A metav1.Time: UTC, whole seconds."""


def clipped(limit: int) -> BeforeValidator:
    """For words of ours: a reason that grew too long must be cut, not keep a status from being written."""
    return BeforeValidator(
        lambda text: f"{text[: limit - 1]}…" if isinstance(text, str) and len(text) > limit else text
    )


Name = Annotated[str, Field(min_length=1, max_length=253)]
Text = Annotated[str, Field(max_length=1024), clipped(1024)]
"""Words that the operator writes; cut at 1024 characters."""
LabelValue = Annotated[
    str,
    Field(max_length=63),
    Rule(
        "self == '' || self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",
        "not a label value: write letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
        lambda text: re.fullmatch("([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?", text) is not None,
    ),
]
KEYS_ARE_LABEL_KEYS: Final = Rule(
    f"self.all(key, size(key) <= 317 && key.matches('{_LABEL_KEY.pattern}'))",
    "a key here is not of the form of a label: write name or domain/name, such as team or example.com/team",
    lambda labels: all(len(key) <= 317 and _LABEL_KEY.fullmatch(key) for key in labels),
)
LabelKey = Annotated[
    str,
    Field(max_length=317),
    Rule(
        f"self.matches('{_LABEL_KEY.pattern}')",
        "not a label key: write name or domain/name, such as team or example.com/team",
        lambda key: _LABEL_KEY.fullmatch(key) is not None,
    ),
]
Labels = Annotated[dict[str, LabelValue], Field(max_length=100), KEYS_ARE_LABEL_KEYS]
Quantities = Annotated[dict[str, Quantity], Field(max_length=32)]
UsdPerHour = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]
Replicas = Annotated[int, Field(ge=0, le=1_000_000)]
