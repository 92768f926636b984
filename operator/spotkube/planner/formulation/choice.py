"""minValues: a pool sells only where its requirements leave a choice, so that it does not hang on one type or zone."""

import numpy as np

from spotkube.planner.formulation.kinds import Kinds
from spotkube.planner.problem import BoolArray


def with_choice(kinds: Kinds, usable: BoolArray) -> BoolArray:
    """[O] what of the usable kinds belongs to pools that still have the choice that they ask for."""
    if not any(pool.min_values for pool in kinds.pools):
        return usable
    left = usable.copy()
    for index, pool in enumerate(kinds.pools):
        for key, wanted in pool.min_values:
            selling = np.flatnonzero(usable & (kinds.pool == index))
            column = kinds.table.column(key)
            if len({column[o] for o in selling} - {None}) < wanted:
                left[selling] = False
    return left


def narrow_pools(kinds: Kinds, usable: BoolArray) -> str:
    """Which pools have too little choice, in words; empty where none has."""
    left = with_choice(kinds, usable)
    narrow = [kinds.pools[p] for p in np.unique(kinds.pool[usable & ~left])]
    asked = [f"{n} values of {key} in NodePool {pool.name}" for pool in narrow for key, n in pool.min_values]
    return " and ".join(asked)
