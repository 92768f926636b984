#!/usr/bin/env python3
"""Writes docs/benchmarks.md from the results of the runs in benchmarks/results."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import page_cost
import page_decision
import page_end_to_end
import page_moves
import page_scale
import page_search
from page_parts import Row, Target

ROOT = Path(__file__).resolve().parents[1]
INTRO = """\
<!-- Written by `make bench` from benchmarks/results; don't edit. -->
# Benchmarks

`make bench` measures everything again and writes this page, in about 40 minutes on two cores; `make bench QUICK=1`
measures a little in four. Problems, pods and prices are described in `benchmarks/planner.py --help`; those not marked
*own* come from a maker that all solvers share. The *bound* is proven: no plan of the same pods can cost less.
"""
# Why a target is missed, by how its name begins; shown only where it is.
WHY = {
    "synthetic": "the columns have not all converged by then, so part of the gap is the bound's; the rest is what"
    " it takes to make fractions of nodes whole",
    "openb": "with so many shapes of nodes with GPUs the columns are far from converged when the time ends, so that"
    " plan and bound may both be far from what they could be",
    "diverse": "no near bound is known for pods that exclude one another, so part of the gap may be the bound's",
    "moves": "the first search ends before it has found all that pays; the next goes on from there, and each pays for"
    " its moves",
}
PARTS: dict[str, Callable[[Sequence[Row]], tuple[str, list[Target]]]] = {
    "cost": page_cost.render,
    "search": page_search.render,
    "scale": page_scale.render,
    "decision": page_decision.render,
    "end_to_end": page_end_to_end.render,
    "moves": page_moves.render,
}


def render(documents: dict[str, Row]) -> str:
    """The page; a part whose results are missing says so."""
    bodies, targets = [], []
    for name, part in PARTS.items():
        bodies.append(f"## {name.replace('_', ' ').capitalize()}\n")
        if name not in documents or not documents[name]["rows"]:
            bodies.append("Not run.\n")
            continue
        body, reached = part(documents[name]["rows"])
        bodies += [_about(documents[name]), body]
        targets += reached
    return "\n".join([INTRO, _machines(documents), _summary(targets), *bodies])


def _summary(targets: Sequence[Target]) -> str:
    missed = [target for target in targets if target.missed]
    lines = [f"{len(targets) - len(missed)} of {len(targets)} targets are met."]
    lines += [
        f"- Missed: {t.name}: wanted {t.wanted}, reached {t.reached}, missed by {t.missed}{_why(t)}." for t in missed
    ]
    return "\n".join(["## Targets\n", lines[0], *([""] if missed else []), *lines[1:], ""])


def _why(target: Target) -> str:
    reason = next((reason for begins, reason in WHY.items() if target.name.startswith(begins)), "")
    return f"; {reason}" if reason else ""


def _machines(documents: dict[str, Row]) -> str:
    """Each machine that took part, with all versions."""
    karpenters = sorted({version for document in documents.values() for version in _karpenters(document)})
    lines = []
    for machine in {json.dumps(document["machine"]): document["machine"] for document in documents.values()}.values():
        versions = [f"{name} {number}" for name, number in machine["versions"].items()]
        versions += [f"Karpenter {version}" for version in karpenters]
        lines.append(
            f"Machine: {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, {machine['os']}; "
            f"{', '.join(versions)}.\n"
        )
    return "\n".join(lines)


def _karpenters(document: Row) -> Iterator[str]:
    for row in document["rows"]:
        for name in ("karpenter", "karpenter_pinned"):
            version = (row.get(name) or {}).get("version")
            if version:
                yield version


def _about(document: Row) -> str:
    dates = sorted(row["date"] for row in document["rows"])
    took = sum(row["took_seconds"] for row in document["rows"]) / 60
    return (
        f"`{document['command']}`, done {dates[-1]} UTC, {took:.1f} minutes, commit {document['commit']}, "
        f"load of the machine before {document['load']:g}.\n"
    )


def refused(documents: dict[str, Row]) -> list[str]:
    """The rows in which the independent checker refused a plan."""
    return [
        f"{name}: {row['name']}"
        for name, document in documents.items()
        for row in document["rows"]
        if any(
            holder.get("verified") is False for holder in (row, *row.get("ours", ()), *row.get("solvers", {}).values())
        )
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="exit codes: 0 written, 1 written but a plan was refused, 2 there are no results"
    )
    parser.add_argument("--quick", action="store_true", help="of a quick run, into the folder of its results")
    args = parser.parse_args()
    results = ROOT / "benchmarks" / "results" / ("quick" if args.quick else "")
    out = results / "benchmarks.md" if args.quick else ROOT / "docs" / "benchmarks.md"
    documents = {name: results / f"{name}.json" for name in PARTS}
    found = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in documents.items() if file.exists()}
    if not found:
        print(f"page.py: {results} has no results; run benchmarks/cost.py first", file=sys.stderr)
        return 2
    out.write_text(render(found), encoding="utf-8")
    print(out)
    bad = refused(found)
    if bad:
        print(f"page.py: the independent checker refused plans: {'; '.join(bad)}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
