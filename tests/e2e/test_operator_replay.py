"""A decision of the operator is made again on the command line, from what it left in the cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from spotkube.cluster.resources import CONFIGMAPS
from spotkube.model import labels
from support_operator import Object, Story, name_of

Node = tuple[str, str, str, tuple[str, ...]]


def test_a_plan_is_made_again_from_what_was_kept_of_it(story: Story, tmp_path: Path) -> None:
    story.make_pool()
    story.apply(story.service("web", 5), story.job("batch", pods=4, seconds=600, cpu="1"), story.deployment("tool", 2))
    pods = story.wait_running(11)
    names = {pod["metadata"]["uid"]: f"{story.namespace}/{name_of(pod)}" for pod in pods}
    claims = story.claims()
    plans = {name_of(plan): plan for plan in map(story.plan_of, claims)}

    for name, plan in plans.items():
        kept = story.wait(lambda name=name: kept_of(story, name), f"the snapshot of {name}")
        assert kept["namespace"] == story.site.namespace and "message" not in kept
        file = tmp_path / name
        # As a person would, with kubectl.
        shown = story.site.cluster.kubectl("get", "configmap", kept["configMap"], "-n", kept["namespace"], "-o", "yaml")
        file.write_text(shown)

        replayed = replay(file)

        assert replayed["replay"] == {
            "same": True,
            "planSHA256": kept["planDigest"],
            "recordedPlanSHA256": kept["planDigest"],
        }
        assert replayed["seed"] == plan["spec"]["seed"]
        bought = [claim for claim in claims if claim["spec"]["plan"] == name]
        assert sorted(map(node_of, replayed["nodes"])) == sorted(planned(claim, names) for claim in bought)
        assert replayed["totals"]["lowerBoundUSDPerHour"] == plan["status"]["lowerBoundUSDPerHour"]

    bound = {f"{story.namespace}/{name_of(pod)}": pod["spec"]["nodeName"] for pod in pods}
    assert {pod for claim in claims for pod in planned(claim, names)[3] if bound.get(pod) == name_of(claim)}, "nowhere"
    goes_with_its_plan(story, min(plans))


def kept_of(story: Story, plan: str) -> Object:
    found = next(each for each in story.plans() if name_of(each) == plan)
    kept: Object = found["status"].get("snapshot") or {}
    return kept


def replay(file: Path) -> Object:
    """In a process of its own, which hashes strings otherwise, on one core."""
    core = {min(os.sched_getaffinity(0))} if hasattr(os, "sched_getaffinity") else None
    found: Object = json.loads(
        subprocess.run(
            [sys.executable, "-m", "spotkube", "plan", "--snapshot", str(file), "-o", "json"],
            env={**os.environ, "PYTHONHASHSEED": "11"},
            preexec_fn=(lambda: os.sched_setaffinity(0, core)) if core else None,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    return found


def node_of(node: Object) -> Node:
    return node["instanceType"], node["zone"], node["capacityType"], tuple(sorted(node["pods"]))


def planned(claim: Object, names: dict[str, str]) -> Node:
    spec, uids = claim["spec"], claim["metadata"]["annotations"][labels.PLANNED_PODS].split(",")
    return spec["instanceType"], spec["zone"], spec["capacityType"], tuple(sorted(names.get(uid, uid) for uid in uids))


def goes_with_its_plan(story: Story, plan: str) -> None:
    kept = kept_of(story, plan)
    story.site.cluster.kubectl("delete", "capacityplans.spotkube.io", plan)
    story.wait(
        lambda: story.site.reader.get(CONFIGMAPS, kept["configMap"], kept["namespace"]) is None,
        f"ConfigMap {kept['configMap']} to go with plan {plan}",
    )
