"""Which nodes in force may be given back, their pods moved; and the Snapshot in which that has been decided."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from spotkube.model.cluster import Claim, ClaimPhase, DisruptionBudget, Mode, Node, Pool, Snapshot
from spotkube.model.plan import HeldNode
from spotkube.model.pods import Pod
from spotkube.planner.consolidation.prices import MovePrices


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may be given back: its claim, the pods that have to move first, and the price of moving them."""

    claim: Claim
    node: str
    pods: tuple[Pod, ...]
    moves_micro_usd: int

    @property
    def name(self) -> str:
        return self.claim.name


def candidates(snapshot: Snapshot, pools: Sequence[Pool]) -> tuple[Candidate, ...]:
    """Ready nodes of the pools that give nodes back, whose pods can all be moved, by name."""
    return assort(snapshot, pools)[0]


def assort(snapshot: Snapshot, pools: Sequence[Pool]) -> tuple[tuple[Candidate, ...], tuple[HeldNode, ...]]:
    """The candidates, and the other nodes in force of these pools, which a pod holds in place."""
    allowed = {pool.name for pool in pools if gives_back(pool)}
    nodes = {node.name: node for node in snapshot.nodes}
    expected = {pod.nominated for pod in snapshot.pods if pod.node is None}
    pods_on, covers, prices = _pods_on(snapshot), _Cover(snapshot.budgets), MovePrices.of(snapshot)
    found, held = [], []
    for claim in sorted(snapshot.claims, key=lambda claim: claim.name):
        name = claim.node or claim.name
        if claim.pool not in allowed or not _in_force(claim, nodes.get(name)) or expected & {claim.name, claim.node}:
            continue
        reasons = ((pod, why_held(pod, covers.of(pod))) for pod in pods_on[name])
        holding = next(((pod, reason) for pod, reason in reasons if reason), None)
        if holding is None:
            found.append(Candidate(claim, name, pods_on[name], prices.of_all(pods_on[name])))
        else:
            held.append(HeldNode(claim.name, holding[0].uid, holding[1]))
    return tuple(found), tuple(held)


def gives_back(pool: Pool) -> bool:
    """In mode Recommend it is shown what would be saved, unless the pool never gives anything back."""
    return pool.empty_after_seconds is not None and (pool.consolidates or pool.mode is Mode.RECOMMEND)


def why_held(pod: Pod, budgets: Sequence[DisruptionBudget]) -> str:
    """Why the pod must stay where it is, and its node with it; "" if it may be moved."""
    if pod.do_not_disrupt:
        return "it opted out of being moved"
    if not pod.owner:
        return "it is a bare pod, which nobody makes anew"
    if pod.shape.unsupported:
        return f"it uses what the planner does not model: {', '.join(pod.shape.unsupported)}"
    if len(budgets) > 1:
        return "several PodDisruptionBudgets cover it, so it can't be evicted"
    if budgets and budgets[0].allowed <= 0:
        return f"PodDisruptionBudget {budgets[0].name} allows no eviction"
    return ""


def with_leaving(snapshot: Snapshot, names: Collection[str]) -> Snapshot:
    """The Snapshot in which these claims are being given back: their pods ask for room elsewhere."""
    claims = tuple(replace(claim, deleting=True) if claim.name in names else claim for claim in snapshot.claims)
    return replace(snapshot, claims=claims)


def _in_force(claim: Claim, node: Node | None) -> bool:
    if claim.phase is not ClaimPhase.READY or claim.leaving or claim.stays or node is None:
        return False
    return node.ready and not (node.unschedulable or node.deleting or node.notice is not None)


def _pods_on(snapshot: Snapshot) -> Mapping[str, tuple[Pod, ...]]:
    """Pods by the node that they would have to leave; daemons and static pods end with it, as do those that end now."""
    found: dict[str, tuple[Pod, ...]] = defaultdict(tuple)
    for pod in sorted(snapshot.pods, key=lambda pod: pod.uid):
        if pod.node is not None and not (pod.daemon or pod.mirror or pod.deleting):
            found[pod.node] += (pod,)
    return found


class _Cover:
    """The budgets that cover a pod."""

    def __init__(self, budgets: Sequence[DisruptionBudget]) -> None:
        self._in: dict[str, list[DisruptionBudget]] = defaultdict(list)
        for budget in budgets:
            self._in[budget.namespace].append(budget)

    def of(self, pod: Pod) -> list[DisruptionBudget]:
        return [budget for budget in self._in.get(pod.namespace, ()) if budget.covers(pod)]
