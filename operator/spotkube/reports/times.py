"""Moments and lengths of time as people read them, and as JSON has them. Times are Unix times."""

from datetime import UTC, datetime

_UNITS = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))
# The last moment that a datetime has.
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def span(seconds: float) -> str:
    """A length of time to two digits or so: 45 s, 12 min, 3.5 h, 2.1 days."""
    for unit_seconds, name in _UNITS:
        # What would round to 60 min is 1 h.
        if seconds >= 0.995 * unit_seconds:
            count = seconds / unit_seconds
            return f"{count:.0f} {name}" if name == "min" or count >= 9.95 else f"{count:.2g} {name}"
    return f"{seconds:.0f} s" if seconds >= 1 or seconds <= 0 else f"{seconds:.1g} s"


def from_now(at: float, now: float) -> str:
    """As in "in 12 min"; what should have been is now."""
    return f"in {span(at - now)}" if at - now >= 0.5 else "now"


def moment(at: float, now: float) -> str:
    """To the minute, in UTC, with its day unless that is today."""
    when, today = _utc(at), _utc(now)
    return when.strftime("%H:%M" if when.date() == today.date() else "%Y-%m-%d %H:%M")


def rfc3339(at: float | None) -> str | None:
    """As Kubernetes writes it."""
    return None if at is None else _utc(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(min(max(0.0, at), _LAST), UTC)
