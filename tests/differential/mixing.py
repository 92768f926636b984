"""Pods that have rules of several groups at once."""

from __future__ import annotations

import copy

from differential.draft import Draft, Group
from differential.scenario import Json

FIELDS = ("nodeSelector", "tolerations", "initContainers", "overhead", "resources", "schedulingGates")


def mix(draft: Draft) -> None:
    """Some groups take over a rule of another group; rules that look at the group itself look at the new one then."""
    if len(draft.groups) < 2:
        return
    for _ in range(draft.rng.randint(0, 3)):
        giver, taker = draft.rng.sample(draft.groups, 2)
        choices = [field for field in FIELDS if field in giver.spec]
        choices += [f"affinity.{part}" for part in giver.spec.get("affinity", {})]
        choices += ["topologySpreadConstraints"] if "topologySpreadConstraints" in giver.spec else []
        choices += ["ports"] if "ports" in giver.container else []
        choices += ["workload"] if giver.workload is not None and taker.workload is not None else []
        of_one_set = giver.labels.get("set", "") in ("", taker.labels.get("set", giver.labels.get("set", "")))
        if choices and of_one_set:
            _hand_over(giver, taker, draft.rng.choice(choices))


def _hand_over(giver: Group, taker: Group, rule: str) -> None:
    name, _, part = rule.partition(".")
    if name == "workload":
        taker.workload = copy.deepcopy(giver.workload)
    elif name == "ports":
        taker.container["ports"] = copy.deepcopy(giver.container["ports"])
    elif part:
        taker.spec.setdefault("affinity", {})[part] = _renamed(giver.spec["affinity"][part], giver, taker)
    else:
        taker.spec[name] = _renamed(giver.spec[name], giver, taker)


def _renamed(value: Json, giver: Group, taker: Group) -> Json:
    """A copy that means the taker where it meant the giver, and asks for no labels that the taker lacks."""
    copied = copy.deepcopy(value)
    terms = copied if isinstance(copied, list) else [one for terms in copied.values() for one in terms]
    for term in terms if isinstance(terms, list) else []:
        labels = term.get("labelSelector", {}).get("matchLabels", {}) if isinstance(term, dict) else {}
        if labels.get("group") == giver.name:
            labels["group"] = taker.name
        elif "set" in labels:
            taker.labels |= {key: giver.labels[key] for key in ("set", "version", "tenant") if key in giver.labels}
    return copied
