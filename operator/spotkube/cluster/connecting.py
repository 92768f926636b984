"""Where the cluster is and who we are: a kubeconfig, or the service account of the pod we run in."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.aio import client as kube_client
from kubernetes.aio import config as kube_config
from kubernetes.aio.config.incluster_config import SERVICE_TOKEN_FILENAME

from spotkube.cluster.errors import KubeConfigError


@dataclass(frozen=True)
class Connection:
    """The client's configuration, and how to read the credentials into it again when they were refused."""

    configuration: Any
    reload: Callable[[], Awaitable[None]]
    in_cluster: bool


def runs_in_cluster() -> bool:
    """Whether this process has a service account's token and knows the API server by environment."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and Path(SERVICE_TOKEN_FILENAME).is_file()


async def load_connection(kubeconfig: Path | None, context: str | None) -> Connection:
    """Read the kubeconfig (the given one, else in-cluster, else $KUBECONFIG or ~/.kube/config).

    Exec plugins, token files, client certificates and basic authentication work as with kubectl.
    Raises KubeConfigError naming the file and the remedy.
    """
    if kubeconfig is None and context is None and runs_in_cluster():
        return await _from_service_account()
    return await _from_kubeconfig(kubeconfig, context)


async def _from_service_account() -> Connection:
    configuration = kube_client.Configuration()

    async def load() -> None:
        # Reads the token again each minute by itself: projected tokens live an hour.
        kube_config.load_incluster_config(client_configuration=configuration)
        _settle_proxy(configuration)

    try:
        await load()
    except kube_config.ConfigException as error:
        raise KubeConfigError(f"the pod's service account cannot be used: {error}") from error
    return Connection(configuration, load, in_cluster=True)


async def _from_kubeconfig(kubeconfig: Path | None, context: str | None) -> Connection:
    location = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not await asyncio.to_thread(_any_exists, location):
        raise KubeConfigError(f"no kubeconfig at {location}: give --kubeconfig FILE or set KUBECONFIG")
    configuration = kube_client.Configuration()

    async def load() -> None:
        await kube_config.load_kube_config(
            config_file=location, context=context, client_configuration=configuration, persist_config=False
        )
        _settle_proxy(configuration)

    try:
        await load()
    except kube_config.ConfigException as error:
        remedy = "list the contexts with `kubectl config get-contexts`"
        raise KubeConfigError(f"kubeconfig {location}, context {context or 'current'}: {error}; {remedy}") from error
    except (yaml.YAMLError, OSError, ValueError, AttributeError, TypeError) as error:
        raise KubeConfigError(f"kubeconfig {location} cannot be read: {error}") from error
    return Connection(configuration, load, in_cluster=False)


def _settle_proxy(configuration: Any) -> None:
    """Finds out once what the environment says of proxies (HTTPS_PROXY, NO_PROXY).

    Left to itself, aiohttp asks that anew for each request, and for a netrc file too, on other threads: a third of all
    that the operator did.
    """
    configuration.client_session_kwargs = {"trust_env": False}
    server = urlsplit(configuration.host)
    if configuration.proxy is None and server.hostname and not proxy_bypass(server.hostname):
        configuration.proxy = getproxies().get(server.scheme)


def _any_exists(location: str) -> bool:
    return any(Path(part).expanduser().is_file() for part in location.split(os.pathsep) if part)
