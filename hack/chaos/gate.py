"""The operator with a gate before and after each call that changes something outside.

    python -m chaos.gate --log FILE [--at NAME --when before|after --do kill|stop] [--clock-ahead SECONDS] run ...

What follows is given to `spotkube`. Each call that is met is written to FILE as an Act: its name, or "step NAME" for a
claim's step, or "gate NAME" right before the gate kills or stops the process. Nobody lists the names: they come from
the calls themselves, as "verb resource[/subresource] by function", so that a new call is a new name. The process may
take its clock to be ahead of the machine's, or behind.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos.history import Act
from spotkube.cli import main
from spotkube.cluster.client import KubeClient
from spotkube.cluster.resources import EVENTS, LEASES, Resource
from spotkube.controllers.claims.acting import ClaimActor
from spotkube.providers.local.client import LocalProvider

CLIENT_WRITES = ("create", "patch", "replace", "delete", "evict")
PROVIDER_WRITES = ("create", "delete")
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
# How the election and what is told are written has its own tests.
UNCOUNTED = (LEASES, EVENTS)
Call = Callable[..., Awaitable[Any]]


class Gate:
    """Lets every call through and writes it down; at the one that was asked for it ends or stops this process, once."""

    def __init__(self, log: Path, at: str | None, when: str, do: str) -> None:
        self._log = log
        self._at = at
        self._when = when
        self._signal = SIGNALS[do]

    def wrap(self, call: Call, verb: str, where: str | None) -> Call:
        """`where` names what is called; None reads it from the Resource that is the first argument."""

        @functools.wraps(call)
        async def gated(this: Any, *args: Any, **kwargs: Any) -> Any:
            if args and args[0] in UNCOUNTED:
                return await call(this, *args, **kwargs)
            name = f"{verb} {where or _resource(args, kwargs)} by {_caller()}"
            self.note(name)
            self._pass(name, "before")
            answer = await call(this, *args, **kwargs)
            self._pass(name, "after")
            return answer

        return gated

    def note(self, name: str) -> None:
        act = Act(name, os.getpid(), time.clock_gettime(time.CLOCK_REALTIME))
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(act)) + "\n")

    def _pass(self, name: str, when: str) -> None:
        if (name, when) == (self._at, self._when):
            self._at = None
            self.note(f"gate {name}")
            os.kill(os.getpid(), self._signal)


def _resource(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    resource = args[0]
    assert isinstance(resource, Resource)
    return "/".join(filter(None, (resource.plural, kwargs.get("subresource"))))


def _caller() -> str:
    """The controller's function on whose behalf the call is made; those of the toolbox stand for their callers."""
    frame = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("spotkube.controllers.") and not module.endswith(".toolbox"):
            return frame.f_code.co_qualname
        frame = frame.f_back  # type: ignore[assignment]
    return "nobody"


def install(gate: Gate) -> None:
    """From here on all clients and providers of this process go through the gate."""
    for verb in CLIENT_WRITES:
        where = "pods" if verb == "evict" else None
        setattr(KubeClient, verb, gate.wrap(getattr(KubeClient, verb), verb, where))
    for verb in PROVIDER_WRITES:
        setattr(LocalProvider, verb, gate.wrap(getattr(LocalProvider, verb), verb, "instance"))
    take = ClaimActor.take

    async def noted(this: ClaimActor, step: Any, *args: Any) -> Any:
        gate.note(f"step {type(step).__name__}")
        return await take(this, step, *args)

    setattr(ClaimActor, "take", noted)  # noqa: B010 - mypy would have it typed as what it stands for


def run() -> None:
    parser = argparse.ArgumentParser(description="The operator behind a gate.")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--at")
    parser.add_argument("--when", choices=("before", "after"), default="before")
    parser.add_argument("--do", choices=tuple(SIGNALS), default="kill")
    parser.add_argument("--clock-ahead", type=float, default=0.0)
    options, rest = parser.parse_known_args()
    machine_time = time.time
    time.time = lambda: machine_time() + options.clock_ahead
    install(Gate(options.log, options.at, options.when, options.do))
    sys.argv = ["spotkube", *rest]
    main()


if __name__ == "__main__":
    run()
