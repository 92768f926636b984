"""A thousand scenarios, and for each constraint the proof that it matters in them."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from differential.demands import complaints
from differential.drawing import of_seed
from differential.judge import Judge, JudgeError
from differential.registry import CONSTRAINTS
from differential.scenario import Scenario
from spotkube.convert.documents import ManifestError

PROCESSES = 2
SEEDS_AT_ONCE = 5
# Of a thousand scenarios a constraint must bind in so many.
ENOUGH = 20

_judge: Judge | None = None


@dataclass(frozen=True)
class Trial:
    """What came of one seed: complaints of the plan (none, if all is well), the constraints that the scenario has, and
    those that bind in it: a planner that misread one of them would have been caught."""

    seed: int
    complaints: tuple[str, ...]
    has: tuple[str, ...]
    binds: tuple[str, ...]


@dataclass
class Score:
    """The sum over trials."""

    failed: list[Trial] = field(default_factory=list)
    has: Counter[str] = field(default_factory=Counter)
    binds: Counter[str] = field(default_factory=Counter)
    trials: int = 0

    def add(self, trial: Trial) -> None:
        self.trials += 1
        self.has.update(trial.has)
        self.binds.update(trial.binds)
        if trial.complaints:
            self.failed.append(trial)

    def idle(self) -> list[str]:
        """Constraints that bind too seldom for the test to say anything of them."""
        enough = ENOUGH * self.trials / 1000
        return [name for name in CONSTRAINTS if self.binds[name] < enough]


def run(seeds: Sequence[int], *, misread: bool = True) -> Iterator[Trial]:
    """Tries the seeds on two processes, in any order; without `misread` it does not look which constraints bind."""
    batches = [seeds[start : start + SEEDS_AT_ONCE] for start in range(0, len(seeds), SEEDS_AT_ONCE)]
    with ProcessPoolExecutor(PROCESSES, initializer=_start_judge) as pool:
        for batch in pool.map(_batch, batches, [misread] * len(batches)):
            yield from batch


def try_seed(seed: int, judge: Judge, *, misread: bool = True) -> Trial:
    scenario = of_seed(seed)
    found = _complaints(scenario, judge)
    changed = {name: one.misread_in(scenario) for name, one in CONSTRAINTS.items()}
    has = {name: seen for name, seen in changed.items() if seen is not None}
    binds = [name for name, seen in has.items() if misread and not found and caught(scenario, seen, judge)]
    return Trial(seed, tuple(found), tuple(has), tuple(binds))


def caught(scenario: Scenario, seen: Scenario, judge: Judge) -> bool:
    """Whether the judge finds fault with a planner that has seen another scenario."""
    return bool(_complaints(scenario, judge, seen))


def _complaints(scenario: Scenario, judge: Judge, seen: Scenario | None = None) -> list[str]:
    try:
        return complaints(scenario, judge, seen=seen, orders=0 if seen else 3)
    except (ManifestError, JudgeError):
        # Drawn so that nobody would take it: not the planner's fault, but the test's.
        raise
    except Exception:  # a crash of the product is the worst that it can say of a scenario
        return [traceback.format_exc()]


def _start_judge() -> None:
    global _judge  # noqa: PLW0603 - one for each worker process, which ends with it
    _judge = Judge()


def _batch(seeds: Sequence[int], misread: bool) -> list[Trial]:
    assert _judge is not None
    return [try_seed(seed, _judge, misread=misread) for seed in seeds]
