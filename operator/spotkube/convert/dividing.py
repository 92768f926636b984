"""Jobs that may run with fewer pods than they ask for: what says so, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spotkube.model import labels as keys

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Divisible:
    """A Job whose queue says with how many of its pods it runs, from `min_parallelism` to its own `parallelism`.

    `gates` are those of its pod template. `is_divided` says that the number of pods in its spec is its queue's, and not
    its own.
    """

    parallelism: int
    min_parallelism: int
    completions: int
    gates: tuple[str, ...] = ()
    is_divided: bool = False


def to_divisible(raw: Json) -> tuple[Divisible | None, str]:
    """None for a Job that runs whole; and what its owner wrote that can't be used, with the remedy."""
    annotations, spec = raw["metadata"].get("annotations") or {}, raw["spec"]
    text, let_go = annotations.get(keys.MIN_PARALLELISM), _count(annotations.get(keys.PARALLELISM))
    if text is None and let_go is None:
        return None, ""
    suspended, least = bool(spec.get("suspend")), _count(text)
    present, completions = int(spec.get("parallelism") or 1), int(spec.get("completions") or 0)
    own = present if suspended or let_go is None else let_go
    gates = tuple(gate["name"] for gate in spec["template"]["spec"].get("schedulingGates") or ())
    if let_go is not None:  # Its pods are behind our gate whatever its owner says now.
        divided = not suspended
        return Divisible(own, min(least or own, own), max(completions, own), gates, divided), ""
    if wrong := _wrong(text or "", least, own, completions):
        return None, f"annotation {keys.MIN_PARALLELISM}: {wrong}"
    if keys.QUEUE_GATE not in gates and (raw.get("status") or {}).get("startTime"):  # The template is fixed by now.
        return None, f"annotation {keys.MIN_PARALLELISM}: it came after the Job had begun: make the Job anew with it"
    return Divisible(own, least or own, completions, gates), ""


def _wrong(text: str, least: int | None, own: int, completions: int) -> str:
    if least is None or least > own:
        return f"{text!r} must be a whole number from 1 to spec.parallelism, which is {own}"
    if completions <= own:
        return (
            "only a Job with more completions than parallelism can be divided: "
            f"raise spec.completions above {own}, or lower spec.parallelism"
        )
    return ""


def _count(text: str | None) -> int | None:
    """None for what is no whole number from 1."""
    try:
        number = int(text or "")
    except ValueError:
        return None
    return number if number >= 1 else None
