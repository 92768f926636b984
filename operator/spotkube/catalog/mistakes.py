"""What pydantic finds wrong in a file, as sentences: where, which value, and what to do about it."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

MAX_SHOWN = 10
MAX_VALUE_LENGTH = 60


def mistakes(errors: Sequence[ErrorDetails], raw: Any, fields: Mapping[int, Sequence[str]]) -> list[str]:
    """A line an error, ten at most. `raw` is the content as parsed, `fields` the names known by depth of path.

    For example `types[3] (m5.large).offerings[0].priceUSDPerHour: -1 is not a price; give ...`.
    """
    lines = [f"{_place(error['loc'], raw)}: {_complaint(error, fields)}" for error in errors[:MAX_SHOWN]]
    more = len(errors) - len(lines)
    return lines + ([f"... and {more} more"] if more else [])


def _complaint(error: ErrorDetails, fields: Mapping[int, Sequence[str]]) -> str:
    value = _short(error["input"])
    match error["type"]:
        case "missing":
            text = "is missing; add it"
        case "extra_forbidden":
            text = f"is no field here; {_field_meant(str(error['loc'][-1]), fields[len(error['loc'])])}"
        case "literal_error":
            text = f"{value} is not known; use {error['ctx']['expected']}"
        case "string_pattern_mismatch":
            text = f"{value} can't be a label's value; use up to 63 letters, digits, '-', '_' and '.'"
        case "value_error":
            reason = str(error["ctx"]["error"]).removeprefix(f"{error['loc'][-1] if error['loc'] else ''}: ")
            # Our rules for one field go on from its value; the others speak for themselves.
            text = f"{value} {reason}" if reason.startswith("is ") else reason
        case "model_type" | "tuple_type":
            kind = "a list" if error["type"] == "tuple_type" else "a map of fields"
            text = f"{value} is not {kind}; `spotkube catalog -o yaml` prints an example"
        case _:
            text = f"{value}: {error['msg'][0].lower()}{error['msg'][1:]}; correct the value"
    return text


def _field_meant(name: str, fields: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, fields, n=1)
    return f"did you mean {near[0]}?" if near else f"use {', '.join(fields)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 3]}..."


def _place(location: tuple[int | str, ...], raw: Any) -> str:
    """The path in the file, with the name of the type so that nobody has to count entries."""
    text, here = "", raw
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
        if isinstance(step, int) and isinstance(here, dict) and "instanceType" in here:
            text += f" ({here['instanceType']})"
    return text.lstrip(".") or "the file"
