"""Times on the command line."""

import re

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def parse_seconds(text: str) -> float:
    """Seconds in "500ms", "5s" or "1m". Raises ValueError."""
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ValueError(f"{text!r} is no time above zero; write it as in 500ms, 5s or 1m")
    return seconds
