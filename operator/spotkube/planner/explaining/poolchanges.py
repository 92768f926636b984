"""The changes that a user can make to NodePools, each of one field; and to wait."""

import math
from collections.abc import Mapping
from typing import Any

from spotkube.model.cluster import Mode, Pool
from spotkube.model.explanation import NODE_POOL, OFFERING, Change, Edit
from spotkube.model.offerings import OfferingKey
from spotkube.model.selectors import Operator, Requirement, Taint
from spotkube.planner.explaining.changes import RANKS, quantity
from spotkube.planner.formulation.limits import DOLLARS, NODES

# Of interruptions in a month, as the API takes them; the last one is any.
ANY_PERCENT = 100
_BANDS = (5, 10, 15, 20, ANY_PERCENT)


def _pool(pool: Pool, rank: str, field: str, values: tuple[str, str], words: str, edit: Mapping[str, Any]) -> Change:
    made = Edit((pool.name,), **edit)
    return Change(NODE_POOL, pool.name, field, *values, f"{words} in NodePool {pool.name}", RANKS[rank], made)


def sell(pool: Pool, requirement: Requirement, value: str | None) -> Change:
    """The requirement with one more value, or without it where that can't be."""
    values = requirement.values
    wider: tuple[Requirement, ...] = ()
    if requirement.operator is Operator.IN and value is not None and values:
        wider = (Requirement(requirement.key, Operator.IN, (*values, value)),)
        words = f"add {value} to {requirement.key}"
    elif requirement.operator is Operator.NOT_IN and value is not None and len(values) > 1:
        wider = (Requirement(requirement.key, Operator.NOT_IN, tuple(v for v in values if v != value)),)
        words = f"no longer exclude {value} from {requirement.key}"
    else:
        words = f"drop the requirement {requirement}"
    after = str(wider[0]) if wider else ""
    field = f"spec.template.spec.requirements[{requirement.key}]"
    edit: dict[str, Any] = {"attribute": "requirements", "remove": (requirement,), "add": wider}
    return _pool(pool, "requirements", field, (str(requirement), after), words, edit)


def no_requirement(pool: Pool, requirement: Requirement) -> Change:
    return sell(pool, requirement, None)


def no_taint(pool: Pool, taint: Taint) -> Change:
    edit: dict[str, Any] = {"attribute": "taints", "remove": (taint,)}
    field = "spec.template.spec.taints"
    return _pool(pool, "taint", field, (str(taint), ""), f"take the taint {taint} off the nodes", edit)


def bear_interruptions(pool: Pool, percent: int) -> Change:
    before = str(pool.max_interruption_percent)
    after = next(band for band in _BANDS if band >= percent)
    words = f"raise maxInterruptionPercent from {before} to {after}"
    field = "spec.spot.maxInterruptionPercent"
    edit: dict[str, Any] = {"attribute": "max_interruption_percent", "value": after}
    return _pool(pool, "maxInterruptionPercent", field, (before, str(after)), words, edit)


def allow_unmanaged(pool: Pool) -> Change:
    field = "spec.spot.allowUnmanagedPods"
    edit: dict[str, Any] = {"attribute": "allow_unmanaged_on_spot", "value": True}
    return _pool(pool, "allowUnmanagedPods", field, ("false", "true"), "set allowUnmanagedPods to true", edit)


def set_mode(pool: Pool, mode: Mode) -> Change:
    words = f"set mode to {mode} (it is {pool.mode})"
    return _pool(pool, "mode", "spec.mode", (str(pool.mode), str(mode)), words, {"attribute": "mode", "value": mode})


def choose_among(pool: Pool, key: str, wanted: int, number: int) -> Change:
    words = f"lower minValues of {key} from {wanted} to {number}"
    field = f"spec.template.spec.requirements[{key}].minValues"
    edit: dict[str, Any] = {
        "attribute": "min_values",
        "remove": ((key, wanted),),
        "add": ((key, number),) if number > 1 else (),
    }
    return _pool(pool, "minValues", field, (str(wanted), str(number)), words, edit)


def no_pool_share(pool: Pool) -> Change:
    before = f"{pool.max_fraction_per_pool or 0:g}"
    edit: dict[str, Any] = {"attribute": "max_fraction_per_pool", "value": None}
    field = "spec.spot.maxFractionPerPool"
    return _pool(pool, "pool's share", field, (before, ""), f"drop maxFractionPerPool {before}", edit)


def raise_limit(pool: Pool, resource: str, amount: int) -> Change:
    """`resource` is NODES, DOLLARS or the name of a resource."""
    if resource == NODES:
        edit: dict[str, Any] = {"attribute": "limit_nodes", "value": amount}
        named, before, after = "nodes", str(pool.limit_nodes), str(amount)
    elif resource == DOLLARS:
        edit = {"attribute": "limit_micro_usd_hour", "value": amount}
        named, before, after = "usdPerHour", _usd(pool.limit_micro_usd_hour or 0), _usd(amount)
    else:
        limit = dict(pool.limit_resources)[resource]
        edit = {"attribute": "limit_resources", "remove": ((resource, limit),), "add": ((resource, amount),)}
        named, before, after = f"resources[{resource}]", quantity(resource, limit), quantity(resource, amount)
    words = f"raise the limit {named} from {before} to {after}"
    return _pool(pool, "limits", f"spec.limits.{named}", (before, after), words, edit)


def stretched(change: Change, factor: float) -> Change:
    """Where the change raises a limit, one that raises it by `factor` times as much; else the change itself."""
    if change.rank != RANKS["limits"] or factor == 1:
        return change
    before, after, edit = change.before, change.after, change.edit
    if edit.add:
        ((name, low),), ((_, high),) = edit.remove, edit.add
        pool = Pool(edit.names[0], limit_resources=edit.remove)
        return raise_limit(pool, name, low + math.ceil((high - low) * factor))
    if edit.attribute == "limit_nodes":
        pool = Pool(edit.names[0], limit_nodes=int(before))
        return raise_limit(pool, NODES, int(before) + math.ceil((int(after) - int(before)) * factor))
    low = round(float(before) * 1_000_000)
    pool = Pool(edit.names[0], limit_micro_usd_hour=low)
    return raise_limit(pool, DOLLARS, low + math.ceil((edit.value - low) * factor))


def no_limits(pool: Pool) -> tuple[Change, ...]:
    """What lifts all limits of the pool, each kind of them by itself."""
    edits: tuple[tuple[str, dict[str, Any]], ...] = (
        ("nodes", {"attribute": "limit_nodes", "value": None}),
        ("usdPerHour", {"attribute": "limit_micro_usd_hour", "value": None}),
        ("resources", {"attribute": "limit_resources", "value": ()}),
    )
    return tuple(
        _pool(pool, "limits", f"spec.limits.{name}", ("", ""), f"drop the limit {name}", edit) for name, edit in edits
    )


def new_pool(pool: Pool) -> Change:
    words = "create a NodePool that may buy anything"
    return Change(NODE_POOL, pool.name, "", "", pool.name, words, RANKS["new pool"], Edit((), "", add=(pool,)))


def wait_for(key: OfferingKey) -> Change:
    words = f"wait: {key} rests, since a purchase failed"
    return Change(OFFERING, str(key), "", "resting", "", words, RANKS["resting"], Edit((), "resting",
                  remove=(key,)))  # fmt: skip


def _usd(micro: int) -> str:
    return f"{micro / 1_000_000:.6f}".rstrip("0").rstrip(".") or "0"
