"""Proxies between an operator and those that it asks, for as long as a life is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from life import Scene

from chaos.proxy import Proxy, api_server, cloud, kubeconfig_to, proxying

# A watch that hangs is given up after 70 s, and the next one may be harmed as well.
PATIENCE_SECONDS = 240.0


@contextmanager
def disturbed_api(scene: Scene, seed: int, share: float, folder: Path) -> Iterator[Proxy]:
    """Operators that start now ask the API server by way of the proxy. They are killed at the end."""
    site, direct = scene.site, scene.site.operator_kubeconfig
    scene.story.patience_seconds = PATIENCE_SECONDS
    with proxying(api_server(direct), seed, share) as (proxy, url):
        site.operator_kubeconfig = kubeconfig_to(url, direct, folder / "kubeconfig")
        try:
            yield proxy
        finally:
            site.operator_kubeconfig = direct
            proxy.share = 0.0
            site.kill_operators()


@contextmanager
def disturbed_cloud(scene: Scene, seed: int, share: float) -> Iterator[Proxy]:
    """The same of the cloud."""
    site = scene.site
    with proxying(cloud(site.cloud_url), seed, share) as (proxy, url):
        site.operator_cloud_url = url
        try:
            yield proxy
        finally:
            site.operator_cloud_url = ""
            proxy.share = 0.0
            site.kill_operators()
