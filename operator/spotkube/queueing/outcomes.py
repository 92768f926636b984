"""How far what jobs were told was off, and so what the next ones are told: a bias taken off, and an honest range.

When a job starts, the logarithm of what it waited over what the queue's play had said (`Start.played_seconds`) is one
error. The middle of the last ERRORS_KEPT corrects the play, as far as they agree that it is off; between their tenth
and their ninetieth percentile lie four of five starts, as long as the next errors are like the last (split conformal
prediction: Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005). They are not quite: loads change,
and who waits long is learnt from late. So the range is widened after each start that was outside of what its job had
been told, and narrowed after each inside, such that in the long run one of five is outside whatever comes (Gibbs,
Candes: Adaptive Conformal Inference Under Distribution Shift, NeurIPS 2021).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SLACK_SECONDS = 60.0
"""Added to both waits: to start ten seconds instead of one second later is no error of 900 %."""
ERRORS_KEPT = 200
LEAST_ERRORS = 20
"""With fewer, nothing is known yet."""
MOST_TOLD = 1000
"""Of so many that wait it is kept what they were told."""
OUTSIDE = 0.2
SURE = 0.3
"""The play is corrected by what all but these parts of the errors, smallest and largest, agree on."""
STEP = 0.05
MOST_WIDENED = 8.0
_MOST_LOG = 20.0  # Nothing is off by e^20; exponents beyond would get infinite.


@dataclass(frozen=True, slots=True)
class Start:
    """Unix times: when it is likeliest, and the range for four of five."""

    start_seconds: float
    low_seconds: float
    high_seconds: float
    played_seconds: float
    """When it starts in the queue played forward, uncorrected."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from now: likeliest, and the range for four of five."""

    seconds: float
    low_seconds: float
    high_seconds: float


@dataclass(frozen=True)
class Errors:
    """Of the last starts, oldest first. Frozen: a new one for each start."""

    logs: tuple[float, ...] = ()
    widened: float = 1.0

    def with_start(self, waited_seconds: float, played_seconds: float, inside: bool) -> "Errors":
        """Raises nothing: what is no time counts as none."""
        log = math.log((_time(waited_seconds) + SLACK_SECONDS) / (_time(played_seconds) + SLACK_SECONDS))
        widened = self.widened * math.exp(STEP * ((0.0 if inside else 1.0) - OUTSIDE))
        bounded = min(MOST_WIDENED, max(1 / MOST_WIDENED, widened))
        return Errors((*self.logs, round(log, 4))[-ERRORS_KEPT:], bounded)

    @property
    def known(self) -> bool:
        return len(self.logs) >= LEAST_ERRORS

    def waits(self, played_seconds: Sequence[float]) -> list[Waits]:
        """What to tell who starts after this long in the play. To be asked only if errors are known."""
        ordered = sorted(self.logs)
        tenth, ninth = _quantile(ordered, OUTSIDE / 2), _quantile(ordered, 1 - OUTSIDE / 2)
        middle = _quantile(ordered, 0.5)
        bias = min(_quantile(ordered, 1 - SURE), max(_quantile(ordered, SURE), 0.0))
        low, high = (middle + (side - middle) * self.widened for side in (tenth, ninth))
        return [_waits(one, min(low, bias), bias, max(high, bias)) for one in played_seconds]


NO_ERRORS = Errors()


@dataclass
class Outcomes:
    """What those who wait were told first, and the errors of those who started. Owned by the book."""

    errors: Errors = NO_ERRORS
    _told: dict[str, tuple[float, float, float, float, float]] = field(default_factory=dict)
    """By UID: when, and then as seconds from there what was played, low, high and likeliest."""

    def tell(self, now: float, starts: Mapping[str, Start]) -> None:
        """Those who wait (by UID) are told so now. Only the first time counts."""
        for uid, start in starts.items():
            if len(self._told) >= MOST_TOLD:
                return
            if uid not in self._told:
                times = start.played_seconds, start.low_seconds, start.high_seconds, start.start_seconds
                played, low, high, likeliest = (round(time - now, 1) for time in times)
                self._told[uid] = now, played, low, high, likeliest

    def first_told(self, uid: str) -> tuple[float, float] | None:
        """When one that waits was told a start first, and which one, as Unix times."""
        told = self._told.get(uid)
        return None if told is None else (told[0], told[0] + told[4])

    def started(self, uid: str, at: float) -> None:
        """It starts at this Unix time."""
        told = self._told.pop(uid, None)
        if told is not None and at >= told[0]:  # Else a clock has stepped back.
            waited = at - told[0]
            inside = told[2] - 0.1 <= waited <= told[3] + 0.1
            self.errors = self.errors.with_start(waited, told[1], inside)

    def forget(self, uid: str) -> None:
        """It left without a start."""
        self._told.pop(uid, None)

    def state(self) -> dict[str, Any]:
        """As plain numbers and names, for JSON."""
        return {
            "errors": list(self.errors.logs),
            "widened": self.errors.widened,
            "told": {uid: list(it) for uid, it in self._told.items()},
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Outcomes":
        """Raises KeyError, TypeError, ValueError."""
        # What an older operator wrote has no likeliest start; as long as nothing is corrected it is the played one.
        told = {
            uid: (float(at), float(played), float(low), float(high), float(likeliest[0] if likeliest else played))
            for uid, (at, played, low, high, *likeliest) in state["told"].items()
        }
        return cls(Errors(tuple(map(float, state["errors"])), float(state["widened"])), told)


def _time(seconds: float) -> float:
    return seconds if 0 <= seconds < math.inf else 0.0


def _quantile(ordered: Sequence[float], part: float) -> float:
    """Rounded outwards, so that few errors make a wide range."""
    place = part * (len(ordered) + 1)
    index = math.floor(place) - 1 if part < 0.5 else math.ceil(place) - 1
    return ordered[min(len(ordered) - 1, max(0, index))]


def _waits(played_seconds: float, low: float, bias: float, high: float) -> Waits:
    if played_seconds <= 0:
        return Waits(0.0, 0.0, 0.0)

    def after(log: float) -> float:
        return max(
            0.0, (played_seconds + SLACK_SECONDS) * math.exp(min(_MOST_LOG, max(-_MOST_LOG, log))) - SLACK_SECONDS
        )

    return Waits(after(bias), after(low), after(high))
