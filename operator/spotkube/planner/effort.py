"""How the work is divided, by the size of the problem. Measured with benchmarks/cost.py; what is proven holds for any.

With few groups the columns all but converge, and good rounding of them is most of the answer. With many they never do
in seconds: the bound then comes from the first of them, and every moment is better spent on the search.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Effort:
    """Parts of the seconds after which the columns have to be there, and the proof; then what is done how often.

    A dive ends after about `dive_steps` linear programs. Each generation has `children`, each with so many `steps` of
    ruin and recreate.
    """

    columns_share: float
    proof_share: float
    dives: int
    dive_steps: int
    children: int
    steps: int


MANY_GROUPS, MANY_BINS = 128, 192
_FEW = Effort(columns_share=0.33, proof_share=0.4, dives=4, dive_steps=40, children=8, steps=60)
_MANY = Effort(columns_share=0.2, proof_share=0.25, dives=1, dive_steps=15, children=4, steps=30)


def effort_for(groups: int, bins: int = 0) -> Effort:
    """`bins` are the different ones: of many, better prices make better use than any search."""
    effort = _FEW if groups <= MANY_GROUPS else _MANY
    return effort if bins <= MANY_BINS else replace(effort, columns_share=0.5, proof_share=0.55)
