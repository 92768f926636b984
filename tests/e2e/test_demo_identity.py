"""The account that the demo gives to the operator has exactly the chart's rights."""

from __future__ import annotations

from demo.identity import MANIFESTS, rendered
from localcluster.build import ensure_binaries


def test_the_committed_manifests_are_what_helm_renders() -> None:
    expected = rendered(ensure_binaries(("helm",))["helm"])
    assert MANIFESTS.read_text(encoding="utf-8") == expected, "run `PYTHONPATH=hack python -m demo.identity`"
