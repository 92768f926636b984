"""`spotkube plan --snapshot` as its users see it, up to another process with other surroundings."""

from __future__ import annotations

import base64
import io
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_plan_command import Outcome
from test_plan_moves import cluster

from builders import make_offering, make_pods, make_pool, make_snapshot
from spotkube import cli
from spotkube.convert.snapshots import KEY, read_record, to_bytes, to_record
from spotkube.model.cluster import Mode
from spotkube.model.plan import Plan

EXAMPLES = Path(__file__).parents[2] / "examples"
Run = Callable[..., Outcome]
# Another machine differs in all of these: hashes, cores, and how the linear algebra is done.
ELSEWHERE = {"PYTHONHASHSEED": "7", "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Prescott"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr("sys.argv", ["spotkube", "plan", *arguments])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def saved(run: Run, tmp_path: Path) -> Path:
    """The snapshot of a plan for the examples."""
    file = tmp_path / "saved"
    outcome = run("-f", str(EXAMPLES), "--budget", "700ms", "--seed", "5", "--save-snapshot", str(file))
    assert outcome.code == 0
    return file


def config_map(content: bytes, **fields: Any) -> dict[str, Any]:
    data = {KEY: base64.b64encode(content).decode()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "snapshot-x"}, "binaryData": data, **fields}


def small_record(**fields: Any) -> bytes:
    snapshot = make_snapshot(make_pods(2), [make_offering()], pools=[make_pool(mode=Mode.APPLY)])
    return to_bytes(replace(to_record(snapshot, Mode.APPLY, 3, 0.3, Plan()), **fields))


def test_the_plan_is_made_again_with_its_own_seed(run: Run, saved: Path) -> None:
    outcome = run("--snapshot", str(saved))
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "replayed: this is the recorded plan, bit for bit" in outcome.stdout
    assert run("--snapshot", str(saved), "--seed", "5").stdout == outcome.stdout


def test_it_is_the_same_in_other_surroundings(run: Run, saved: Path) -> None:
    here = run("--snapshot", str(saved), "-o", "json").stdout
    core = {min(os.sched_getaffinity(0))} if hasattr(os, "sched_getaffinity") else None
    there = subprocess.run(
        [sys.executable, "-m", "spotkube", "plan", "--snapshot", str(saved), "-o", "json"],
        env={**os.environ, **ELSEWHERE},
        preexec_fn=(lambda: os.sched_setaffinity(0, core)) if core else None,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert there == here
    plan = json.loads(here)
    assert plan["replay"]["same"] is True and plan["seed"] == 5
    assert {pod.partition("/")[0] for node in plan["nodes"] for pod in node["pods"]} >= {"shop", "team-a", "team-b"}


@pytest.mark.parametrize("anew", [("--seed", "6"), ("--budget", "100ms"), ("--policy", "safest")])
def test_with_another_seed_budget_or_policy_it_is_planned_anew(run: Run, saved: Path, anew: tuple[str, str]) -> None:
    outcome = run("--snapshot", str(saved), *anew, "-o", "json")
    plan = json.loads(outcome.stdout)
    assert (outcome.code, plan["replay"]) == (0, None)
    (note,) = plan["notes"]
    assert note == "planned anew and not replayed: the snapshot's own plan had seed 5 and policy cheapest"
    assert plan["policy"] == ("safest within 5 % of the cheapest" if "safest" in anew else "cheapest")


def test_the_policy_of_the_snapshot_is_no_other_policy(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "saved"
    budget, policy = ("--budget", "300ms"), ("--policy", "safest", "--within-percent", "7")
    run("-f", str(EXAMPLES), *budget, *policy, "--save-snapshot", str(file))
    for arguments in ((), policy):
        plan = json.loads(run("--snapshot", str(file), *arguments, "-o", "json").stdout)
        assert plan["replay"]["same"] is True
        assert plan["policy"] == "safest within 7 % of the cheapest"


def test_moves_are_planned_again_too(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "saved"
    (tmp_path / "cluster.yaml").write_text(cluster())
    assert run("-f", str(tmp_path / "cluster.yaml"), "--budget", "500ms", "--save-snapshot", str(file)).code == 0
    outcome = run("--snapshot", str(file), "-o", "json")
    plan = json.loads(outcome.stdout)
    assert (outcome.code, plan["replay"]["same"], bool(plan["drains"])) == (0, True, True)


def test_what_kubectl_prints_of_the_config_map_will_do(run: Run, saved: Path, tmp_path: Path) -> None:
    found = config_map(saved.read_bytes())
    (tmp_path / "map.yaml").write_text(yaml.safe_dump(found))
    (tmp_path / "list.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [found]}, indent=2))
    for arguments, stdin in (
        ((str(tmp_path / "map.yaml"),), b""),
        ((str(tmp_path / "list.json"),), b""),
        (("-",), json.dumps(found).encode()),
        (("-",), saved.read_bytes()),
    ):
        assert "replayed" in run("--snapshot", *arguments, stdin=stdin).stdout


def test_another_plan_than_the_recorded_one_is_told(run: Run) -> None:
    outcome = run("--snapshot", "-", stdin=small_record(plan="0" * 64))
    assert outcome.code == 3
    assert "error: this is not the recorded plan" in outcome.stderr
    assert "replayed" not in outcome.stdout


def test_a_search_that_was_broken_off_is_planned_anew_only(run: Run) -> None:
    work = replace(Plan().work, passes=((1, 2), None))
    outcome = run("--snapshot", "-", stdin=small_record(work=work))
    assert outcome.code == 1
    assert "broken off by hand" in outcome.stderr and "give --budget" in outcome.stderr
    assert run("--snapshot", "-", "--budget", "100ms", stdin=small_record(work=work)).code == 0


def changed(**header: Any) -> bytes:
    return lzma.compress(json.dumps({**json.loads(lzma.decompress(small_record())), **header}).encode())


BAD = {
    "an empty file": (b"", "is empty: give what --save-snapshot wrote"),
    "no snapshot": (b"hello", "is no snapshot and no ConfigMap"),
    "no text": (b"\xff\xfe\x00", "is neither a snapshot nor YAML or JSON"),
    "a manifest": (b"kind: Pod\nmetadata: {name: a}", "is a Pod, and not one ConfigMap"),
    "a map of something else": (b"kind: ConfigMap\nmetadata: {name: a}", f"is ConfigMap a, which has no {KEY}"),
    "two maps": (
        json.dumps({"kind": "List", "items": [config_map(b""), config_map(b"")]}).encode(),
        "holds 2 ConfigMaps, and not one",
    ),
    "a map that is cut off": (json.dumps(config_map(small_record())).encode()[:300], "perhaps cut off"),
    "base64 that is cut off": (
        json.dumps(config_map(b"", binaryData={KEY: base64.b64encode(small_record()).decode()[:101]})).encode(),
        "is not base64",
    ),
    "bytes that are cut off": (small_record()[:200], "is cut off after 200 bytes: fetch or copy it again"),
    "bytes too many": (small_record() + b"\n", "has 1 bytes too many at its end"),
    "bytes that are damaged": (
        small_record()[:100] + b"\x00\x00\x00\x00" + small_record()[104:],
        "is damaged",
    ),
    "other xz": (lzma.compress(b"[1, 2]"), "is no snapshot of SpotKube"),
    "another format": (
        changed(format=9, spotkube="9.1", what="no one knows"),
        "has format 9, and this SpotKube 0.1.0 reads format 1: use SpotKube 9.1, which wrote it",
    ),
    "another version": (
        changed(spotkube="0.0.9"),
        "the plan was made by SpotKube 0.0.9, and this is 0.1.0, which works otherwise: replay it with 0.0.9, or give "
        "--budget to plan anew from it",
    ),
    "a field that is not known": (
        changed(spotkube="0.0.9", weather="fine"),
        "does not fit the snapshots of this SpotKube 0.1.0, as it was written by SpotKube 0.0.9: weather: Unexpected",
    ),
    "a value of the wrong type": (changed(seed="seven"), "seed: Input should be a valid integer"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_snapshots_are_refused_with_the_remedy(run: Run, what: str) -> None:
    content, words = BAD[what]
    outcome = run("--snapshot", "-", stdin=content)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("error: --snapshot: ")
    assert words in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-f", "a.yaml", "--snapshot", "-"), "-f can't stand beside --snapshot"),
        (("a.yaml", "--snapshot", "-"), "-f can't stand beside --snapshot"),
        (("--catalog", "c.yaml", "--snapshot", "-"), "--catalog can't stand beside --snapshot"),
        (("--mode", "Apply", "--snapshot", "-"), "--mode can't stand beside --snapshot"),
        (("--no-consolidate", "--snapshot", "-"), "--[no-]consolidate can't stand beside --snapshot"),
        (("--snapshot", "/nowhere/at/all"), "/nowhere/at/all: No such file or directory; check the path"),
        (("--snapshot", "-", "--budget", "fast"), "--budget: 'fast' is no time"),
    ],
)
def test_options_that_do_not_go_together(run: Run, arguments: tuple[str, ...], words: str) -> None:
    outcome = run(*arguments)
    assert outcome.code == 1
    assert words in outcome.stderr


def test_a_file_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    outcome = run("-f", str(EXAMPLES), "--budget", "100ms", "--save-snapshot", str(tmp_path / "no" / "folder"))
    assert outcome.code == 1
    assert "--save-snapshot: " in outcome.stderr and "name a file that can be written" in outcome.stderr


def test_a_plan_made_anew_can_be_saved_too(run: Run, saved: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert run("--snapshot", str(saved), "--seed", "6", "--budget", "200ms", "--save-snapshot", str(again)).code == 0
    assert read_record(again.read_bytes()).seed == 6
    assert "replayed" in run("--snapshot", str(again)).stdout
