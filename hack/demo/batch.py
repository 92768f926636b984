"""The 200 batch jobs of examples/: `python -m demo.batch` writes them anew, and a test holds that they are up to date.

Each is a Workload of one pod, as a team's pipeline would submit them. How long a pod runs is said by the annotation
that the local cluster's KWOK Stages read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RUN_SECONDS_STEP = 7
"""Neighbours end at different times: the steps are coprime to the spread."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Jobs of one sort. The pods of job i run `shortest` to `longest` seconds; `spot` is the Workload's policy."""

    name: str
    count: int
    image: str
    cpu: str
    memory: str
    shortest: int
    longest: int
    spot: str = ""
    node_selector: str = ""


TEAMS: dict[str, tuple[Kind, ...]] = {
    "team-a": (
        Kind("thumbnails", 40, "registry.example.com/team-a/thumbnails:3.1", "500m", "1Gi", 30, 70),
        Kind("transcode", 45, "registry.example.com/team-a/transcode:7.4", "2", "3Gi", 40, 150),
        Kind("index", 15, "registry.example.com/team-a/index:1.9", "1", "7Gi", 60, 180),
    ),
    "team-b": (
        Kind("simulation", 60, "registry.example.com/team-b/simulation:2.0", "1", "2Gi", 30, 150),
        Kind("pricing", 25, "registry.example.com/team-b/pricing:5.2", "4", "8Gi", 60, 180,
             node_selector="{kubernetes.io/arch: amd64}"),
        Kind("month-end", 15, "registry.example.com/team-b/month-end:1.0", "1500m", "6Gi", 90, 200,
             spot="{never: true}"),
    ),
}  # fmt: skip

HEADS = {
    "team-a": "# 100 jobs of team A: images and videos of the shop's products. All of them bear interruptions.",
    "team-b": "# 100 jobs of team B: simulations, prices (of software built for amd64 only), and the books of the\n"
    "# month, which must not be interrupted.",
}
NOTE = "# Written by `python -m demo.batch`; do not edit."


def manifests(team: str) -> str:
    """The YAML documents of a team's jobs."""
    documents = [_document(team, kind, number) for kind in TEAMS[team] for number in range(kind.count)]
    return f"{HEADS[team]}\n{NOTE}\n" + "---\n".join(documents)


def files() -> Iterator[tuple[Path, str]]:
    """Each generated file with what it must contain."""
    for number, team in enumerate(TEAMS):
        yield EXAMPLES / f"4{number}-batch-{team}.yaml", manifests(team)


def _document(team: str, kind: Kind, number: int) -> str:
    seconds = kind.shortest + number * RUN_SECONDS_STEP % (kind.longest - kind.shortest + 1)
    optional = [f"  spot: {kind.spot}\n"] if kind.spot else []
    selector = f"        nodeSelector: {kind.node_selector}\n" if kind.node_selector else ""
    return f"""\
apiVersion: spotkube.io/v1alpha1
kind: Workload
metadata: {{name: {kind.name}-{number:03}, namespace: {team}}}
spec:
  queueName: {team}
  expectedRunTime: {seconds}s
{"".join(optional)}\
  job:
    template:
      metadata:
        labels: {{app: {kind.name}}}
        annotations: {{spotkube.io/run-seconds: "{seconds}"}}
      spec:
        restartPolicy: Never
{selector}\
        containers:
          - name: {kind.name}
            image: {kind.image}
            resources: {{requests: {{cpu: {kind.cpu}, memory: {kind.memory}}}, limits: {{memory: {kind.memory}}}}}
"""


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, encoding="utf-8")
        print(path)
