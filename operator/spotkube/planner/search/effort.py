"""How the work is divided, by the size of the problem. Measured with benchmarks/cost.py; what is proven holds for any.

With few groups the columns all but converge, and good rounding of them is most of the answer. With many they never do
in seconds: the bound then comes from the first of them, and every moment is better spent on the search.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Effort:
    """Parts of the seconds after which the columns have to be there, and the proof.

    A dive ends after about `dive_steps` linear programs.
    """

    columns_share: float
    proof_share: float
    dive_steps: int


@dataclass(frozen=True, slots=True)
class Breeding:
    """How often is dived first; then each generation has `children`, with so many `steps` of ruin and recreate each,
    and next to them `rebuilds`."""

    dives: int
    children: int
    steps: int
    rebuilds: int


MANY_GROUPS, MANY_BINS = 128, 192
_FEW = Effort(columns_share=0.33, proof_share=0.4, dive_steps=40)
_MANY = Effort(columns_share=0.2, proof_share=0.25, dive_steps=15)
# With columns that cost so little more than the bound, dives into them find what ruin and recreate never does.
NEAR = 0.01
_BY_DIVES = Breeding(dives=2, children=2, steps=60, rebuilds=10)
_BY_RUIN = Breeding(dives=4, children=8, steps=60, rebuilds=1)
_BY_RUIN_OF_MANY = Breeding(dives=1, children=4, steps=30, rebuilds=1)


def effort_for(groups: int, bins: int = 0) -> Effort:
    """`bins` are the different ones: of many, better prices make better use than any search."""
    effort = _FEW if groups <= MANY_GROUPS else _MANY
    return effort if bins <= MANY_BINS else replace(effort, columns_share=0.5, proof_share=0.55)


def breeding_for(groups: int, gap: float) -> Breeding:
    """`gap` is how far the cost of the columns is above the bound, as a part of it."""
    if gap <= NEAR:
        return _BY_DIVES
    return _BY_RUIN if groups <= MANY_GROUPS else _BY_RUIN_OF_MANY
