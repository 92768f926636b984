"""Fixtures of the tests that kill, stop and disturb whole operators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from life import Scene

from localcluster.cluster import Cluster
from support_operator import Reader, Site, Story


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
def scene(site: Site, namespace: str, tmp_path: Path) -> Iterator[Scene]:
    """A story whose end leaves nothing behind for the next one."""
    scene = Scene(Story(site, namespace), tmp_path / "gate.log")
    try:
        yield scene
    finally:
        scene.leave()
