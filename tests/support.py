"""Helpers that tests of several folders share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

Answer = TypeVar("Answer")

POLL_SECONDS = 0.1


def wait_until(
    condition: Callable[[], Answer | None], timeout: float = 30.0, message: str | Callable[[], object] = "condition"
) -> Answer:
    """Asks until the answer is truthy and returns it; an `AssertionError` with the message after `timeout` seconds.

    A callable message is asked only then, so that it can tell what the cluster looked like at the end.
    """
    deadline = time.monotonic() + timeout
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > deadline:
            text = message() if callable(message) else message
            raise AssertionError(f"not within {timeout:.0f} s: {text}")
        time.sleep(POLL_SECONDS)


def fake_node(
    name: str,
    *,
    allocatable: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A Node manifest that KWOK plays; capacity and allocatable are the same."""
    resources = allocatable or {"cpu": "4", "memory": "8Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, **(labels or {})},
            "annotations": {"kwok.x-k8s.io/node": "fake", **(annotations or {})},
        },
        "status": {
            "capacity": resources,
            "allocatable": resources,
            # As a kubelet registers: without a Ready condition the not-ready taint would be lifted at once.
            "conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}],
        },
    }
