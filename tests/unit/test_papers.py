"""The project's papers: links lead somewhere, and names of files that they mention exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"`((?:crds|docs|hack|helm|operator|tests)/[\w./-]*)`")


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(paper: Path) -> None:
    text = paper.read_text(encoding="utf-8")
    targets = [paper.parent / link for link in LINK.findall(text)] + [ROOT / path for path in PATH.findall(text)]

    assert [str(target) for target in targets if not target.exists()] == []


def test_decisions_are_numbered_one_after_the_other_and_fit_on_half_a_page() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))

    for number, decision in enumerate(decisions, start=1):
        text = decision.read_text(encoding="utf-8")
        assert decision.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        assert len(text.split()) < 400, f"{decision.name} is longer than half a page"
