"""The jobs of the admission benchmark: in which queue, what each asks for, and when it comes."""

from dataclasses import dataclass
from typing import Any

NAMESPACE = "load"
COHORTS, QUEUES_PER_COHORT = 5, 6
NOMINAL_CPU, BORROWING_CPU = 20, 100
Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Jobs alike: in each queue `count` of them, one each `interval_seconds`."""

    name: str
    count: int
    interval_seconds: float
    cpu: int
    run_seconds: float
    priority: int


# As in Kueue's test/performance/scheduler/configs/baseline/generator.yaml.
KINDS = (
    Kind("small", 350, 0.1, 1, 0.2, 50),
    Kind("medium", 100, 0.5, 5, 0.5, 100),
    Kind("large", 50, 1.2, 20, 1.0, 200),
)


@dataclass(frozen=True)
class LoadJob:
    """`due_seconds` after the beginning."""

    name: str
    queue: str
    kind: Kind
    due_seconds: float


def jobs(scale: float) -> list[LoadJob]:
    """In the order in which they come; with a smaller scale fewer of each kind, at the same pace."""
    drawn = [
        LoadJob(f"{queue}-{kind.name}-{number}", queue, kind, number * kind.interval_seconds)
        for queue, _ in queues()
        for kind in KINDS
        for number in range(max(1, round(kind.count * scale)))
    ]
    return sorted(drawn, key=lambda job: (job.due_seconds, job.name))


def floor_seconds(load: list[LoadJob], slower: float = 1) -> float:
    """Nothing can be faster: all the work over all the quota. Run times are so many times those of the kinds."""
    work = sum(job.kind.cpu * job.kind.run_seconds for job in load) * slower
    return work / (COHORTS * QUEUES_PER_COHORT * NOMINAL_CPU)


def queues() -> list[tuple[str, str]]:
    """Queue and cohort."""
    return [(f"c{cohort}-q{queue}", f"c{cohort}") for cohort in range(COHORTS) for queue in range(QUEUES_PER_COHORT)]


def surroundings() -> list[Json]:
    """All that must be there before the first job. The pool has no limit, so that only quotas hold jobs back."""
    quota = {"name": "cpu", "nominalQuota": str(NOMINAL_CPU), "borrowingLimit": str(BORROWING_CPU)}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        _ours("NodePool", "boundless", {"mode": "Apply", "spot": {"allowUnmanagedPods": True}}),
        *(_ours("FairQueue", name, {"cohort": cohort, "resources": [quota]}) for name, cohort in queues()),
        *(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": kind.name},
                "value": kind.priority,
            }
            for kind in KINDS
        ),
    ]


def manifest(job: LoadJob, run_seconds: float | None = None) -> Json:
    """As the chart's admission policy makes it: suspended, and marked as held by its queue. KWOK ends pods after their
    `run_seconds`."""
    requests = {"requests": {"cpu": str(job.kind.cpu)}}
    pod = {
        "restartPolicy": "Never",
        "priorityClassName": job.kind.name,
        "containers": [{"name": "main", "image": "load", "resources": requests}],
    }
    template: Json = {"spec": pod}
    if run_seconds is not None:
        template["metadata"] = {"annotations": {"spotkube.io/run-seconds": f"{run_seconds:g}"}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job.name,
            "namespace": NAMESPACE,
            "labels": {"spotkube.io/queue-name": job.queue},
            "annotations": {"spotkube.io/held-by-queue": "true"},
        },
        "spec": {"suspend": True, "template": template},
    }


def _ours(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": "spotkube.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
