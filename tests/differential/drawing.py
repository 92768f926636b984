"""Scenarios out of dice: of a seed, or of hypothesis, which makes what fails smaller."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import strategies as st

from differential import (
    recipes_neighbours,
    recipes_places,
    recipes_purchases,
    recipes_requests,
    recipes_volumes,
    recipes_wishes,
)
from differential.draft import Draft
from differential.mixing import mix
from differential.registry import CONSTRAINTS
from differential.scenario import Scenario

RECIPES = (recipes_requests, recipes_places, recipes_neighbours, recipes_purchases, recipes_volumes, recipes_wishes)
FOCUS = 3


def of_seed(seed: int) -> Scenario:
    """The scenario of a seed. A row of seeds has each constraint in focus equally often, in ever new company."""
    names = list(CONSTRAINTS)
    places = [divmod(seed * FOCUS + n, len(names)) for n in range(FOCUS)]
    focus = [random.Random(turn).sample(names, len(names))[index] for turn, index in places]
    return drawn(random.Random(seed), focus)


def drawn(rng: random.Random, focus: Iterable[str]) -> Scenario:
    """A cluster with the constraints in focus, each drawn so that it matters, and some pods that ask for nothing."""
    draft = Draft(rng)
    draft.catalog()
    draft.pool(spot={"allowUnmanagedPods": rng.random() < 0.5})
    for _ in range(rng.randint(0, 2)):
        node = draft.node(cpu=rng.choice(["1", "2", "4"]))
        draft.runs(node, rng.randint(0, 2))
    focus = list(dict.fromkeys(focus))
    for name in focus:
        CONSTRAINTS[name].draw(draft)
    for _ in range(rng.randint(0, 2)):
        draft.group()
    mix(draft)
    return draft.scenario(focus)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Scenarios with one to four constraints in focus."""
    focus = draw(st.lists(st.sampled_from(list(CONSTRAINTS)), min_size=1, max_size=4, unique=True))
    return drawn(draw(st.randoms(use_true_random=False)), focus)
