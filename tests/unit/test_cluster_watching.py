"""What kopf is told: whose credentials, which kinds, and to leave no trace."""

from itertools import count
from typing import Any

import kopf
import pytest
from kubernetes.aio.client import Configuration

from spotkube.cluster.cache import Cache
from spotkube.cluster.connecting import Connection
from spotkube.cluster.errors import KubeConfigError
from spotkube.cluster.resources import NODECLAIMS, PODS
from spotkube.cluster.watching import connection_info, register_login, register_watches, watch_settings


def configuration(**values: Any) -> Configuration:
    made = Configuration()
    made.host = "https://127.0.0.1:6443"
    for name, value in values.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        ("Bearer abc", {"Authorization": "Bearer abc"}),
        ("bearer abc\n", {"Authorization": "Bearer abc"}),  # as read from a service account's file
        ("Basic YTpi", {"Authorization": "Basic YTpi"}),
        (None, {}),
    ],
)
def test_tokens(key: str | None, headers: dict[str, str]) -> None:
    info = connection_info(configuration(api_key={"BearerToken": key} if key else {}))
    assert info.as_http_headers() == headers


def test_certificates_and_proxies() -> None:
    info = connection_info(
        configuration(ssl_ca_cert="/ca", cert_file="/cert", key_file="/key", proxy="http://proxy", verify_ssl=False)
    )
    assert (info.server, info.ca_path, info.insecure) == ("https://127.0.0.1:6443", "/ca", True)
    assert (info.certificate_path, info.private_key_path, info.proxy_url) == ("/cert", "/key", "http://proxy")


def test_what_kopf_cannot_do_is_told() -> None:
    with pytest.raises(KubeConfigError, match="tls-server-name"):
        connection_info(configuration(tls_server_name="kubernetes"))


async def test_a_second_login_reads_the_credentials_again_and_is_never_taken_for_the_first() -> None:
    moments = count(100.0, 100.0)
    loads: list[None] = []

    async def reload() -> None:
        loads.append(None)

    registry = kopf.OperatorRegistry()
    register_login(registry, Connection(configuration(), reload, in_cluster=False), clock=lambda: next(moments))
    (login,) = [handler.fn for handler in registry._activities.get_all_handlers()]
    first = await login()
    assert loads == []
    second = await login()
    assert len(loads) == 1
    assert first != second  # kopf refuses for ever what equals credentials that were refused once


async def test_events_reach_the_cache() -> None:
    cache = Cache()
    claims = cache.add(NODECLAIMS, lambda raw: str(raw["metadata"]["name"]))
    cache.add(PODS, lambda raw: raw)
    registry = kopf.OperatorRegistry()
    register_watches(registry, cache.feed, cache.resources)
    feeds = {handler.id: handler.fn for handler in registry._watching.get_all_handlers()}
    assert set(feeds) == {"cache-nodeclaims", "cache-pods"}
    raw = {"metadata": {"name": "c", "uid": "u", "resourceVersion": "1"}}
    await feeds["cache-nodeclaims"](event={"type": None, "object": raw}, body={}, logger=None)
    assert list(claims.values()) == ["c"]


def test_kopf_leaves_no_trace_and_waits_for_nothing_for_ever() -> None:
    settings = watch_settings()
    assert not settings.posting.enabled
    assert settings.scanning.disabled
    assert settings.persistence.finalizer.startswith("spotkube.io/")
    body = kopf.Body({"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"replicas": 1}})
    assert settings.persistence.diffbase_storage.build(body=body) == {}, "a copy of each object for each event"
    finite = [
        settings.watching.server_timeout,
        settings.watching.connect_timeout,
        settings.watching.inactivity_timeout,
        settings.networking.request_timeout,
        settings.networking.connect_timeout,
    ]
    assert all(finite)
