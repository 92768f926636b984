"""The operator's account on the demo's cluster: the rights that the chart gives it, never an administrator's.

`identity.yaml` is what Helm renders of the chart's ServiceAccount, RBAC and FlowSchemas; it is committed so that the
demo need not build Helm first, and a test holds that it is up to date. `python -m demo.identity` writes it anew.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from localcluster.build import ensure_binaries
from localcluster.cluster import Cluster

NAMESPACE = "spotkube-system"
SERVICE_ACCOUNT = "spotkube"
TOKEN_DURATION = "12h"
MANIFESTS = Path(__file__).with_name("identity.yaml")
CHART = Path(__file__).resolve().parents[2] / "helm" / "spotkube"
HEAD = "# Rendered from helm/spotkube by `python -m demo.identity`; do not edit.\n"


def install(cluster: Cluster, folder: Path) -> Path:
    """Creates namespace, ServiceAccount and its rights; returns a kubeconfig in `folder` that acts as this account.

    Raises:
        KubectlError: the API server refused something.
    """
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(namespace))
    cluster.kubectl("apply", "--server-side", "-f", str(MANIFESTS))
    account = (SERVICE_ACCOUNT, "--namespace", NAMESPACE)
    token = cluster.kubectl("create", "token", *account, f"--duration={TOKEN_DURATION}").strip()
    admin = json.loads(cluster.kubectl("config", "view", "--minify", "--raw", "--flatten", "-o", "json"))
    name = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
    context = {"cluster": admin["clusters"][0]["name"], "user": name, "namespace": NAMESPACE}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": admin["clusters"],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
    kubeconfig = folder / "operator.kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(json.dumps(config), encoding="utf-8")
    return kubeconfig


def rendered(helm: Path) -> str:
    """What `identity.yaml` must contain, by real Helm."""
    shown = [f"--show-only=templates/{name}.yaml" for name in ("serviceaccount", "rbac", "flowschema")]
    command = [str(helm), "template", SERVICE_ACCOUNT, str(CHART), "--namespace", NAMESPACE, *shown]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return HEAD + "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


if __name__ == "__main__":
    MANIFESTS.write_text(rendered(ensure_binaries(("helm",))["helm"]), encoding="utf-8")
    print(MANIFESTS)
