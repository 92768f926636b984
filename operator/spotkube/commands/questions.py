"""What `spotkube plan` is asked: of manifests, or of a stored snapshot, anew or again."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spotkube import __version__
from spotkube.convert.manifests import Manifests
from spotkube.convert.snapshots import Record, SnapshotError, read_record
from spotkube.model.cluster import Mode, Snapshot

STDIN = "-"
DEFAULT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Question:
    """A snapshot to plan for. With `moves` nodes in force may be given back too.

    With `again` the decision of that record is made a second time.
    """

    snapshot: Snapshot
    mode: Mode
    seed: int
    seconds: float | None
    pod_names: Mapping[str, str]
    notes: tuple[str, ...] = ()
    errors: Sequence[str] = ()
    moves: bool = True
    again: Record | None = None

    @property
    def waiting(self) -> int:
        return sum(1 for pod in self.snapshot.pods if pod.node is None)

    def with_policy(self, fields: Mapping[str, Any]) -> "Question":
        """With these fields of the policy in place of the snapshot's own."""
        policy = replace(self.snapshot.policy, **fields)
        return replace(self, snapshot=replace(self.snapshot, policy=policy))


def of_manifests(
    manifests: Manifests, modes: Sequence[Mode], seed: int, seconds: float, errors: Sequence[str], *, moves: bool
) -> Question:
    """The pools that may buy in mode Recommend, since nothing is carried out, and the others Paused."""
    snapshot = manifests.snapshot
    pools = [replace(p, mode=Mode.RECOMMEND if p.mode in modes else Mode.PAUSED) for p in snapshot.pools]
    snapshot = replace(snapshot, pools=tuple(pools))
    return Question(snapshot, Mode.RECOMMEND, seed, seconds, manifests.pod_names, manifests.notes, errors, moves)


def of_snapshot(file: str, seed: int | None, seconds: float | None, policy: Mapping[str, Any]) -> Question:
    """The decision of the record again; or anew with another seed, so many seconds, or fields of another policy.

    Raises ValueError.
    """
    try:
        record = read_record(sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes())
    except OSError as error:
        raise ValueError(f"--snapshot: {file}: {error.strerror or error}; check the path") from error
    except SnapshotError as error:
        raise ValueError(f"--snapshot: {'standard input' if file == STDIN else file} {error}") from error
    own = record.snapshot.policy
    anew = seconds is not None or seed not in (None, record.seed) or replace(own, **policy) != own
    if not anew:
        _check_repeatable(record)
    chosen = record.seed if seed is None else seed
    had = f"the snapshot's own plan had seed {record.seed} and policy {own}"
    question = Question(
        record.snapshot,
        record.mode,
        chosen,
        (seconds or record.seconds or DEFAULT_SECONDS) if anew else record.seconds,
        {pod.uid: pod.key for pod in record.snapshot.pods},
        (f"planned anew and not replayed: {had}",) if anew else (),
        moves=record.moves,
        again=None if anew else record,
    )
    return question.with_policy(policy)


def _check_repeatable(record: Record) -> None:
    remedy = "give --budget to plan anew from it"
    if record.spotkube != __version__:
        raise ValueError(
            f"--snapshot: the plan was made by SpotKube {record.spotkube}, and this is {__version__}, which works "
            f"otherwise: replay it with {record.spotkube}, or {remedy}"
        )
    if None in record.work.passes:
        raise ValueError(
            f"--snapshot: the search was broken off by hand, at a point that no replay can find again: {remedy}"
        )
