"""Fixtures of the tests that need a Kubernetes cluster.

`cluster` is a local one for the session, or with `--kubeconfig FILE` one that runs already (such as kind); `namespace`
is a fresh one for each test; `kubectl` is short for `cluster.kubectl`; `fake_nodes` says that a test creates nodes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from localcluster.cluster import Cluster, LocalCluster
from localcluster.errors import KubectlError
from support import fake_node
from support_chart import install_operator_identity
from support_operator import Reader

PROBE_TIMEOUT = "15s"
# How long an example takes says something of the machine only.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="run the cluster tests on the cluster of this kubeconfig (such as kind) and not on a local one",
    )


def pytest_configure(config: pytest.Config) -> None:
    kubeconfig: Path | None = config.getoption("--kubeconfig")
    if kubeconfig is not None and not kubeconfig.is_file():
        raise pytest.UsageError(f"--kubeconfig: there is no file {kubeconfig}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use `cluster`, directly or not, carry its marker, so that `-m 'not cluster'` leaves them out."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A Kubernetes cluster, with an admin's kubeconfig."""
    kubeconfig: Path | None = request.config.getoption("--kubeconfig")
    if kubeconfig is None:
        with LocalCluster.start(name="tests") as local:
            yield local
        return
    yield Cluster(kubeconfig.resolve())


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Callable[..., str]:
    """`kubectl(*args, input=None, check=True)` as an admin; returns its output."""
    return cluster.kubectl


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a namespace that is deleted after the test (the deletion itself is not waited for)."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def fake_nodes(cluster: Cluster) -> None:
    """Skips tests that create nodes where no KWOK plays them: only `--kubeconfig` can lead to such a cluster."""
    if isinstance(cluster, LocalCluster):
        return
    name = f"probe-{secrets.token_hex(4)}"
    cluster.kubectl("create", "-f", "-", input=json.dumps(fake_node(name)))
    try:
        cluster.kubectl("wait", f"node/{name}", "--for=condition=Ready", f"--timeout={PROBE_TIMEOUT}")
    except KubectlError:
        pytest.skip("no KWOK plays nodes on this cluster: start `python -m localcluster kwok --kubeconfig FILE`")
    finally:
        cluster.kubectl("delete", "node", name, "--ignore-not-found")


@pytest.fixture(scope="session")
def operator_identity(cluster: Cluster) -> Iterator[tuple[str, Path]]:
    """The namespace of the operator, and a kubeconfig with the rights that the chart gives it, and no more."""
    namespace = f"operator-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", namespace)
    yield namespace, install_operator_identity(cluster, namespace)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def reader(cluster: Cluster) -> Iterator[Reader]:
    reader = Reader(cluster.kubeconfig)
    yield reader
    reader.close()
