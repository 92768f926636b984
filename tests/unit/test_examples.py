"""The examples are valid, up to date, and contain what the demo promises."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.batch import EXAMPLES, files
from spotkube.api import FairQueue, NodePool, Workload
from spotkube.catalog import load_catalog
from spotkube.convert.documents import Mistakes, read_documents
from spotkube.convert.manifests import to_snapshot

OURS = {"Workload": Workload, "NodePool": NodePool, "FairQueue": FairQueue}
TEMPLATED = ("job", "deployment", "statefulSet")


def documents() -> list[dict[str, Any]]:
    return [each for path in sorted(EXAMPLES.glob("*.yaml")) for each in yaml.safe_load_all(path.read_text())]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [each for each in documents() if each["kind"] == kind]


def workloads(namespace: str) -> dict[str, Workload]:
    found = [Workload.from_dict(each) for each in of_kind("Workload") if each["metadata"]["namespace"] == namespace]
    return {workload.name: workload for workload in found}


def templates() -> list[tuple[str, dict[str, Any]]]:
    """The name and the pod spec of everything that makes pods."""
    found = []
    for each in documents():
        spec = each.get("spec") or {}
        sources = [spec[key] for key in TEMPLATED if key in spec] if each["kind"] == "Workload" else [spec]
        found += [(each["metadata"]["name"], source["template"]["spec"]) for source in sources if "template" in source]
        if each["kind"] == "Pod":
            found.append((each["metadata"]["name"], spec))
    return [(name, spec) for name, spec in found if "containers" in spec]


def test_every_object_of_ours_is_valid() -> None:
    for each in documents():
        if kind := OURS.get(each["kind"]):
            kind.from_dict(each)


def test_names_are_unique() -> None:
    names = Counter((each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in documents())
    assert [name for name, count in names.items() if count > 1] == []


def test_one_apply_is_enough_since_namespaces_come_first() -> None:
    seen: set[str] = set()
    for each in documents():
        if each["kind"] == "Namespace":
            seen.add(each["metadata"]["name"])
        elif namespace := each["metadata"].get("namespace"):
            assert namespace in seen, f"{each['kind']} {each['metadata']['name']} comes before its namespace"


@pytest.mark.parametrize(("path", "text"), list(files()), ids=lambda value: getattr(value, "name", ""))
def test_batch_files_are_what_the_generator_writes(path: Path, text: str) -> None:
    assert path.read_text() == text, "run `PYTHONPATH=hack python -m demo.batch`"


def test_each_team_has_a_hundred_jobs_of_one_pod_in_a_queue_that_exists() -> None:
    queues = {each["metadata"]["name"] for each in of_kind("FairQueue")}
    for team in ("team-a", "team-b"):
        batch = [workload for workload in workloads(team).values() if workload.name != "train-ranking"]
        assert len(batch) == 100
        assert all(job.spec.job is not None and job.spec.job.completions == 1 for job in batch)
        assert {job.spec.queue_name for job in batch} == {team} <= queues


def test_a_job_says_the_run_time_that_its_pod_has() -> None:
    for team in ("team-a", "team-b"):
        for job in workloads(team).values():
            assert job.spec.job is not None
            seconds = int(job.spec.job.template["metadata"]["annotations"]["spotkube.io/run-seconds"])
            assert job.spec.expected_run_time in (f"{seconds}s", f"{seconds // 60}m")


def test_the_shop_has_a_dozen_services_with_the_rules_that_are_shown() -> None:
    shop = workloads("shop")
    assert len(shop) == 12
    assert {name for name, workload in shop.items() if workload.spec.spot.never} == {"checkout", "payments"}
    assert any(workload.spec.spot.on_demand_base for workload in shop.values())
    assert any(workload.spec.spot.spot_fraction for workload in shop.values())
    assert any(workload.spec.min_available for workload in shop.values())
    assert shop["search"].spec.stateful_set is not None


def test_every_container_asks_for_cpu_and_memory() -> None:
    for name, spec in templates():
        for container in spec["containers"]:
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name


def test_a_budget_of_its_own_and_min_available_never_cover_the_same_pods() -> None:
    """Pods under two budgets can't be evicted at all."""
    shop = workloads("shop")
    for budget in of_kind("PodDisruptionBudget"):
        covered = shop[budget["spec"]["selector"]["matchLabels"]["app"]]
        assert covered.spec.min_available is None
        assert covered.spec.deployment is not None
        assert covered.spec.deployment.replicas == budget["spec"]["minAvailable"] + 1, (
            "the budget binds, but is no wall"
        )


def test_the_planner_reads_all_of_it() -> None:
    mistakes = Mistakes()
    documents = read_documents([str(EXAMPLES)], None, mistakes)
    snapshot = to_snapshot(documents, load_catalog(None).offerings, mistakes).snapshot
    assert mistakes.lines == []
    owned = Counter(pod.workload is not None for pod in snapshot.pods)
    assert owned == {True: 239, False: 5}
    assert {pool.name for pool in snapshot.pools} == {"general", "gpu"}
    assert any(pod.shape.requests["nvidia.com/gpu"] for pod in snapshot.pods)
