"""The whole life of a node, while the API server's answers are late, lost, refused, repeated, stale or never come."""

from __future__ import annotations

import json
import os
from pathlib import Path

from life import Scene, tell, verdicts, violations

from chaos.proxy import Fault, kubeconfig_to, proxying
from support_operator import Site

SHARE = 0.2


def test_an_api_server_that_fails_costs_nothing_but_time(site: Site, scene: Scene, tmp_path: Path) -> None:
    seed, direct = int(os.environ.get("CHAOS_SEED", "0")), site.operator_kubeconfig
    with proxying(direct, seed, SHARE) as (proxy, url):
        site.operator_kubeconfig = kubeconfig_to(url, direct, tmp_path / "kubeconfig")
        try:
            history = tell(scene)
        finally:
            site.operator_kubeconfig = direct
            proxy.share = 0.0
            site.kill_operators()
    injected = {str(kind): count for kind, count in proxy.injected.items()}
    cases = {verdict.name: verdict.cases for verdict in verdicts(history)}
    print(json.dumps({"seed": seed, "injected": injected, "cases": cases, "violations": violations(history)}, indent=2))
    assert set(proxy.injected) > {Fault.DELAY, Fault.DROP}, "too little was harmed to say anything"
    assert violations(history) == [], f"see it again: make chaos SEED={seed}"
