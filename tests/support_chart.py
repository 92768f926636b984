"""Rights of the operator in tests: those that the chart gives to its ServiceAccount, never an administrator's.

kubeconfig = install_operator_identity(cluster, namespace)
# start the operator outside of the cluster with --kubeconfig and this file
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from localcluster.cluster import Cluster

CHART = Path(__file__).resolve().parent.parent / "helm" / "spotkube"
RELEASE = "spotkube"
SERVICE_ACCOUNT = "spotkube"
TOKEN_DURATION = "12h"
IDENTITY_TEMPLATES = ("serviceaccount", "rbac", "flowschema")

Manifest = dict[str, Any]


class HelmError(Exception):
    """Helm failed; the message is what it said."""


def helm(cluster: Cluster, *args: str) -> str:
    """Runs real Helm against the cluster and returns what it prints; the user's own Helm settings stay out.

    Raises:
        HelmError: helm failed.
    """
    home = scratch_dir()
    settings = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    outcome = subprocess.run(
        [cluster.binary("helm"), *args],
        env={**os.environ, **settings, "KUBECONFIG": str(cluster.kubeconfig)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if outcome.returncode:
        raise HelmError(f"`helm {' '.join(args)}` failed:\n{outcome.stdout}{outcome.stderr}".strip())
    return outcome.stdout


def render(cluster: Cluster, namespace: str, *args: str) -> list[Manifest]:
    """The chart's objects, CRDs left out, as `helm template` makes them with these further arguments."""
    text = helm(cluster, "template", RELEASE, str(CHART), "--namespace", namespace, *args)
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def only(manifests: list[Manifest], kind: str) -> Manifest:
    """The one object of a kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


@contextmanager
def installation(cluster: Cluster, namespace: str) -> Iterator[None]:
    """The chart installed by Helm, with its defaults."""
    helm(cluster, "install", RELEASE, str(CHART), "--namespace", namespace)
    try:
        yield
    finally:
        helm(cluster, "uninstall", RELEASE, "--namespace", namespace, "--ignore-not-found")


def install_operator_identity(cluster: Cluster, namespace: str) -> Path:
    """Installs CRDs, ServiceAccount and its rights of the chart (not the Deployment) into a namespace that exists.

    Returns a kubeconfig that acts as this ServiceAccount. It is deleted when this process ends; what is
    cluster-wide goes with the namespace, the CRDs stay.
    """
    install_crds(cluster)
    shown = [f"--show-only=templates/{name}.yaml" for name in IDENTITY_TEMPLATES]
    manifests = render(cluster, namespace, *shown)
    _let_namespace_own_cluster_objects(cluster, namespace, manifests)
    items = {"apiVersion": "v1", "kind": "List", "items": manifests}
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(items))
    token = cluster.kubectl("create", "token", SERVICE_ACCOUNT, "-n", namespace, f"--duration={TOKEN_DURATION}").strip()
    return kubeconfig_with_token(cluster, namespace, token)


def do_as_documented(cluster: Cluster, page: str, words: str, *before: Path) -> None:
    """Runs the first commands that a page of docs/ teaches after these words, as an administrator.

    Programs in the directories `before` go before those of the machine.
    """
    text = (CHART.parent.parent / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"{re.escape(words)}.*?```\n(.*?)```", text, re.DOTALL)
    assert found is not None, f"{page} says nowhere: {words}"
    path = ":".join([*map(str, before), str(cluster.binary("kubectl").parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig)}
    subprocess.run(["bash", "-euo", "pipefail", "-c", found[1]], env=environment, check=True, timeout=60)


def install_crds(cluster: Cluster) -> None:
    """Applies the chart's CRDs and returns when the API server serves them; repeatable."""
    crds = str(CHART / "crds")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", crds)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", crds)


def kubeconfig_with_token(cluster: Cluster, namespace: str, token: str) -> Path:
    """A private kubeconfig for the same API server, with a bearer token in place of the admin's certificate."""
    admin = json.loads(cluster.kubectl("config", "view", "--minify", "--raw", "--flatten", "-o", "json"))
    name = f"system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": admin["clusters"],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [
            {"name": name, "context": {"cluster": admin["clusters"][0]["name"], "user": name, "namespace": namespace}}
        ],
        "current-context": name,
    }
    path = scratch_dir() / f"{namespace}.kubeconfig"
    path.write_text(json.dumps(config), encoding="utf-8")
    path.chmod(0o600)
    return path


def _let_namespace_own_cluster_objects(cluster: Cluster, namespace: str, manifests: list[Manifest]) -> None:
    """The garbage collector then deletes them with the test's namespace, also on a cluster that outlives the tests."""
    uid = cluster.kubectl("get", "namespace", namespace, "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": uid}
    for manifest in manifests:
        if "namespace" not in manifest["metadata"]:
            manifest["metadata"]["ownerReferences"] = [owner]


@cache
def scratch_dir() -> Path:
    """A private folder of this test run, removed when the process ends."""
    path = Path(tempfile.mkdtemp(prefix="spotkube-tests-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
