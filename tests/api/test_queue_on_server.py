"""`spotkube queue` on a real API server: what it reads there, and what it shows to a tenant."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.conftest import ApiServer
from localcluster.cluster import Cluster
from queue_shown import fair_queue, kept, place, queue_status, waiting_workload
from spotkube.cli import app
from support_chart import SERVICE_ACCOUNT, kubeconfig_with_token

Object = dict[str, Any]
TOKEN_DURATION = "1h"


def ask(kubeconfig: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["queue", *words, "--kubeconfig", str(kubeconfig)])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def queue(api_server: ApiServer, unique_name: Callable[[], str]) -> str:
    """The name of a queue with a status, as the operator writes it."""
    made = fair_queue(unique_name())
    name = str(made["metadata"]["name"])
    for refusal in (
        api_server.create(made, dry_run=False)[1],
        api_server.patch("FairQueue", name, {"status": queue_status()}, "/status")[1],
    ):
        assert not refusal
    return name


@pytest.fixture
def operator_namespace(cluster: Cluster, namespace: str, queue: str) -> str:
    """Where it is kept that one job waits in the queue."""
    now = time.time()
    one = place("shop/report", queue=queue, estimatedStart=now + 725, submitted=now - 60)
    raw = {"apiVersion": "v1", "kind": "ConfigMap", **kept(one, as_of=now, namespace=namespace)}
    cluster.kubectl("create", "-f", "-", input=json.dumps(raw))
    return namespace


@pytest.fixture
def tenant(cluster: Cluster, namespace: str) -> Iterator[Path]:
    """A kubeconfig that may see FairQueues, and Workloads of the test's namespace, but no ConfigMaps."""
    account = f"--serviceaccount={namespace}:{SERVICE_ACCOUNT}"
    cluster.kubectl("create", "serviceaccount", SERVICE_ACCOUNT, "-n", namespace)
    cluster.kubectl("create", "role", "own", "--verb=list", "--resource=workloads.spotkube.io", "-n", namespace)
    cluster.kubectl("create", "rolebinding", "own", "--role=own", account, "-n", namespace)
    cluster.kubectl("create", "clusterrole", namespace, "--verb=list", "--resource=fairqueues.spotkube.io")
    cluster.kubectl("create", "clusterrolebinding", namespace, f"--clusterrole={namespace}", account)
    token = cluster.kubectl("create", "token", SERVICE_ACCOUNT, "-n", namespace, f"--duration={TOKEN_DURATION}").strip()
    yield kubeconfig_with_token(cluster, namespace, token)
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", namespace)


def test_an_administrator_sees_all(cluster: Cluster, queue: str, operator_namespace: str) -> None:
    where = ("--operator-namespace", operator_namespace)
    told = json.loads(ask(cluster.kubeconfig, "--queue", queue, "-o", "json", *where))
    (shown,) = told["queues"]
    assert (shown["active"], shown["spend"]["usdToday"], shown["usage"][0]["used"]) == ("True", 3.5, "44")
    assert [(one["name"], one["share"]) for one in told["tenants"]] == [("bank", 0.25), ("shop", 0.75)]
    assert [(one["job"], one["position"]) for one in told["waiting"]] == [("Job shop/report", 1)]

    assert "in 12 min" in ask(cluster.kubeconfig, "--queue", queue, *where)
    assert "Nobody is before it in its queue." in ask(cluster.kubeconfig, "why", "shop/report", *where)
    assert "did you mean shop/report?" in ask(cluster.kubeconfig, "why", "shop/repot", *where, code=1)


def test_a_tenant_sees_queues_and_the_own_workloads(
    api_server: ApiServer, tenant: Path, namespace: str, queue: str
) -> None:
    made = waiting_workload(namespace=namespace)
    made["spec"]["queueName"] = queue
    status = made.pop("status")
    assert not api_server.create(made, dry_run=False)[1]
    assert not api_server.patch("Workload", "report", {"status": status}, "/status")[1]
    where = ("--operator-namespace", namespace)

    told = json.loads(ask(tenant, "-n", namespace, "-o", "json", *where))
    assert queue in [one["name"] for one in told["queues"]]
    assert [(one["job"], one["queue"]) for one in told["waiting"]] == [(f"Workload {namespace}/report", queue)]
    assert "you may not read ConfigMap" in told["notes"][0]
    assert "name a namespace of yours with -n" in ask(tenant, *where)
    assert f"waits in queue {queue}." in ask(tenant, "why", "report", "-n", namespace, *where)
