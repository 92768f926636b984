"""The one error of the demo: something did not come true, and the user is told what and by which log."""

from __future__ import annotations


class DemoError(Exception):
    """What was waited for did not happen, or something that is needed is not there."""
