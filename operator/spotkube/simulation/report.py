"""What a policy did, for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from spotkube.simulation.jobs import Run
from spotkube.simulation.metrics import Metrics


def to_document(policy: str, runs: Sequence[Run], metrics: Metrics) -> dict[str, Any]:
    """Times in seconds; `virtual_deadline` is null where the policy has none."""
    return {
        "policy": policy,
        "metrics": asdict(metrics),
        "jobs": [
            {
                "id": run.job.id,
                "tenant": run.job.tenant,
                "submit": run.job.submit,
                "virtual_deadline": run.deadline,
                "start": run.start,
                "end": run.end,
            }
            for run in sorted(runs, key=lambda run: (run.start, run.end, run.job.id))
        ],
    }
