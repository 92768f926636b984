"""The fake cloud's command line reads what it is given, and says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from aiohttp import ClientConnectorError
from kubernetes.aio.client import CoreV1Api
from kubernetes.aio.config import ConfigException
from typer.testing import CliRunner

from spotkube.providers.local.__main__ import app, parse_capacity, parse_seconds
from spotkube.providers.local.process import connect

KUBECONFIG = """
current-context: it
contexts: [{name: it, context: {cluster: it, user: me}}]
clusters: [{name: it, cluster: {server: "http://127.0.0.1:PORT"}}]
users: [{name: me, user: {token: secret}}]
"""


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("2s", 2), ("1.5m", 90), ("1h", 3600), ("7", 7)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "-1s", "2 s", "soon", "1d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no duration; write it as in 500ms, 2s, 1m"):
        parse_seconds(text)


def test_capacity() -> None:
    message = parse_capacity(["m7i.large/us-east-1a/spot=3", "m7i.large/us-east-1b/on-demand=0"], default=None)
    assert message.limits == {"m7i.large/us-east-1a/spot": 3, "m7i.large/us-east-1b/on-demand": 0}
    assert "default" not in message.model_fields_set
    assert parse_capacity([], default=4).default == 4


@pytest.mark.parametrize(
    "text", ["m7i.large=3", "m7i.large/us-east-1a/spot", "a/b/spot=-1", "a/b/spot=x", "a/b/cheap=1"]
)
def test_what_is_no_capacity(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="TYPE/ZONE/CAPACITY=N"):
        parse_capacity([text], default=None)


def test_starting_needs_a_state_and_a_cluster(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["--state", str(tmp_path / "cloud.db")])
    assert answer.exit_code == 2
    assert "--kubeconfig is missing" in answer.output


def test_a_cloud_that_does_not_answer_is_an_error_and_no_traceback(unused_tcp_port: int) -> None:
    answer = CliRunner().invoke(app, ["instances", "--endpoint", f"http://127.0.0.1:{unused_tcp_port}"])
    assert answer.exit_code == 1
    assert "no answer from the fake cloud" in answer.output


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("users: [", "kubeconfig: .* is no kubeconfig"), ("", "is no kubeconfig"), ("{}", "Expected key current-context")],
)
async def test_a_broken_kubeconfig_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(content)
    with pytest.raises(ConfigException, match=complaint):
        await connect(kubeconfig)


async def test_no_request_asks_the_environment_for_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("aiohttp does this on another thread, for each request")

    monkeypatch.setattr("aiohttp.client.netrc_from_env", asked)
    monkeypatch.setattr("aiohttp.client.get_env_proxy_for_url", asked)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.replace("PORT", str(unused_tcp_port)))
    async with await connect(kubeconfig) as api:
        with pytest.raises(ClientConnectorError):
            await CoreV1Api(api).read_node("a")
