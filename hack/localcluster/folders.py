"""The folder of a running cluster, and how the clusters of this machine are found again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from localcluster.processes import ProcessId

PREFIX = "spotkube-cluster-"
LOG_LINES = 25
# A folder without a description is being made right now, or its maker died while making it.
UNFINISHED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ClusterFolder:
    """All files of one cluster: `cluster.json` describes it, marker files tell how far it is."""

    path: Path

    @classmethod
    def create(cls, parent: Path) -> ClusterFolder:
        folder = cls(Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)))  # mkdtemp makes it 0700
        folder.logs.mkdir()
        return folder

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def kubeconfig(self) -> Path:
        return self.path / "admin.kubeconfig"

    @property
    def ready(self) -> Path:
        """Exists once the cluster can be used."""
        return self.path / "ready"

    @property
    def detached(self) -> Path:
        """Exists when the cluster is to outlive the process that started it."""
        return self.path / "detached"

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file at once: a reader sees all of it or nothing."""
        draft = self.path / f".{name}.{os.getpid()}"
        draft.write_text(json.dumps(content), encoding="utf-8")
        draft.rename(self.path / name)

    def read(self, name: str) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return content

    def write_process(self, role: str, pid: int) -> None:
        self.write(f"{role}.json", asdict(ProcessId.of(pid)))

    def process(self, role: str) -> ProcessId | None:
        content = self.read(f"{role}.json")
        return ProcessId(**content) if content else None

    def log_tail(self, part: str, lines: int = LOG_LINES) -> str:
        """The last lines of a part's log."""
        try:
            text = (self.logs / f"{part}.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def is_running(self) -> bool:
        supervisor = self.process("supervisor")
        return supervisor is not None and supervisor.is_alive()

    def is_abandoned(self) -> bool:
        """Whether nobody looks after this cluster any more."""
        owner = self.process("owner")
        if owner is None:
            return time.time() - self.path.stat().st_mtime > UNFINISHED_SECONDS
        return not self.is_running() and not owner.is_alive()

    def kill_parts(self) -> None:
        """Ends what is left of a cluster whose supervisor is gone."""
        for part in (self.read("parts.json") or {}).values():
            ProcessId(**part).signal(signal.SIGKILL)


def cluster_folders(parent: Path) -> Iterator[ClusterFolder]:
    """The clusters of this user below a folder."""
    for path in sorted(parent.glob(f"{PREFIX}*")):
        try:
            if path.is_dir() and path.stat().st_uid == os.getuid():
                yield ClusterFolder(path)
        except FileNotFoundError:  # another process removed it meanwhile
            continue


def sweep(parent: Path) -> list[Path]:
    """Removes what clusters left behind whose supervisor and owner were both killed; returns the removed folders."""
    removed = []
    for folder in cluster_folders(parent):
        try:
            abandoned = folder.is_abandoned()
        except FileNotFoundError:
            continue
        if abandoned:
            folder.kill_parts()
            folder.remove()
            removed.append(folder.path)
    return removed
