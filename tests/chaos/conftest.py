"""Fixtures of the tests that kill, stop and disturb whole operators."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from life import Scene
from rich.console import Console

from chaos.report import Report
from localcluster.cluster import Cluster
from support_operator import Reader, Site, Story

REPORT = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = Report(int(os.environ.get("CHAOS_SEED", "0")))


def pytest_terminal_summary(config: pytest.Config) -> None:
    """The table, and JSON in the file that CHAOS_REPORT names."""
    report = config.stash[REPORT]
    if not report.lives:
        return
    Console(width=120).print(report.to_table())
    if path := os.environ.get("CHAOS_REPORT"):
        Path(path).write_text(report.to_json(), encoding="utf-8")


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Of the whole run."""
    return request.config.stash[REPORT]


@pytest.fixture(scope="package")
def site(
    cluster: Cluster,
    fake_nodes: None,
    operator_identity: tuple[str, Path],
    reader: Reader,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A fake cloud; each test starts the operators that it needs."""
    namespace, kubeconfig = operator_identity
    site = Site(cluster, kubeconfig, namespace, tmp_path_factory.mktemp("chaos"), reader)
    try:
        site.start_cloud()
        yield site
    finally:
        site.stop()


@pytest.fixture
def scene(site: Site, namespace: str, tmp_path: Path, report: Report) -> Iterator[Scene]:
    """A story whose end leaves nothing behind for the next one."""
    scene = Scene(Story(site, namespace), tmp_path / "gate.log", report)
    try:
        yield scene
    finally:
        scene.leave()
