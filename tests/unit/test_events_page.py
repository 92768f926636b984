"""docs/reference/events.md is written by hand: no reason that the code gives may be missing there."""

import re
from pathlib import Path

from spotkube.controllers.claims.steps import GiveBackReason

REPOSITORY = Path(__file__).parents[2]
GIVEN = re.compile(r'(?:Problem\(|event\(claim, |say\(workload, "\w+", |record\(ref, "\w+", )"(?P<reason>[A-Z]\w+)"')


def test_every_reason_is_on_the_page() -> None:
    page = (REPOSITORY / "docs/reference/events.md").read_text()
    sources = [path.read_text() for path in (REPOSITORY / "operator/spotkube/controllers").rglob("*.py")]
    reasons = {match["reason"] for source in sources for match in GIVEN.finditer(source)}

    assert {"Launched", "ChildMade", "TargetTaken", "NoPlace"} < reasons
    assert [reason for reason in sorted(reasons | set(GiveBackReason)) if f"`{reason}`" not in page] == []
