"""Fixtures of the tests that run the operator as a process of its own, with the chart's rights."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from localcluster.cluster import Cluster
from spotkube.cluster.resources import NODECLAIMS
from support import wait_until
from support_operator import PATIENCE_SECONDS, Reader, Site, Story

# What an operator tells in about two minutes of trouble.
FAILURE_LOG_LINES = 120


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows with a failed test what the operators had to say: a rare failure may not come again to be looked at."""
    report = yield
    site = getattr(item, "funcargs", {}).get("site")
    if report.failed and site is not None:
        report.sections.append(("the operators' logs", site.log(FAILURE_LOG_LINES)))
    return report


@pytest.fixture(scope="package")
def site(
    cluster: Cluster,
    fake_nodes: None,
    operator_identity: tuple[str, Path],
    reader: Reader,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A fake cloud and an operator, for all tests of this folder that ask for one."""
    namespace, kubeconfig = operator_identity
    site = Site(cluster, kubeconfig, namespace, tmp_path_factory.mktemp("site"), reader)
    try:
        site.start()
        yield site
        wait_until(
            lambda: not reader.list(NODECLAIMS) and not site.instances(),
            PATIENCE_SECONDS,
            lambda: f"all claims and instances to be gone: {reader.list(NODECLAIMS)} {site.instances()}\n{site.log()}",
        )
    finally:
        site.stop()


@pytest.fixture
def story(site: Site, namespace: str) -> Iterator[Story]:
    """A namespace, and a NodePool to be made; both are taken down afterwards, with all nodes."""
    story = Story(site, namespace)
    yield story
    if not site.operators:
        site.start_operator()  # a test may have ended without one
    story.leave()
