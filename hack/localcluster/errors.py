"""Errors of the local cluster. All say what to do; callers that only report can catch `LocalClusterError`."""

from __future__ import annotations


class LocalClusterError(Exception):
    """Something about the local cluster went wrong."""


class BuildError(LocalClusterError):
    """A binary could not be built."""


class PartError(LocalClusterError):
    """A part of the control plane did not start, or died; carries its name and the end of its log."""

    def __init__(self, part: str, reason: str, log_tail: str) -> None:
        self.part = part
        self.reason = reason
        self.log_tail = log_tail
        super().__init__(f"{part} {reason}; the end of its log:\n{log_tail or '(its log is empty)'}")


class KubectlError(LocalClusterError):
    """kubectl ended with an error; the message holds what it wrote to stderr."""
