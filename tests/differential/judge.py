"""The judge: kube-scheduler's own filters, in a process that answers scenarios one after the other."""

from __future__ import annotations

import json
import subprocess
from types import TracebackType
from typing import Any, Self

from localcluster.build import ensure_binaries
from localcluster.groups import SCHEDULER_CHECK

Json = dict[str, Any]


class JudgeError(Exception):
    """kube-scheduler, or the API server's rules that are checked before it, could not take the scenario."""


class Judge:
    """A context manager around the Go program; builds it when it is not there yet. Not for two threads at once."""

    def __init__(self) -> None:
        binary = ensure_binaries([SCHEDULER_CHECK])[SCHEDULER_CHECK]
        self._process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, scenario: Json) -> Json:
        """The answer to one scenario; schedulercheck/scenario.go describes both."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(scenario) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise JudgeError(f"the judge ended with code {self._process.wait()}")
        answer: Json = json.loads(line)
        if "error" in answer:
            raise JudgeError(answer["error"])
        return answer

    def close(self) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
