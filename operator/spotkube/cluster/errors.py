"""What can go wrong between us and the API server.

    ClusterError
    +-- KubeConfigError          no usable kubeconfig, context or service account
    +-- MissingKinds             CRDs that we need are not installed
    +-- HistoryRewritten         etcd was restored from a backup: what we know may never have happened
    +-- ApiError                 the API server refused, or could not be asked
        +-- Unauthorized         401, also after the credentials were read again
        +-- Forbidden            403: a permission is missing
        +-- NotFound             404
        +-- Conflict             409: a resourceVersion or uid that we named is not the current one
        +-- AlreadyExists        409 on create
        +-- Expired              410: the continue token or resourceVersion is too old, list again
        +-- Invalid              422: the schema or a rule refused the object; `message` is the server's
        +-- TooManyRequests      429: we are throttled, or a PodDisruptionBudget holds the eviction back
        +-- Unavailable          5xx, timeouts, connections refused or broken: it may or may not have been done

Catch `ApiError` where nothing can be done but to go on, the leaves where the caller decides.
"""

# Named as the API server names its reasons, so that code and logs read alike.
# ruff: noqa: N818

import json
from collections.abc import Mapping
from typing import Any, ClassVar


class ClusterError(Exception):
    """Root of the tree."""


class KubeConfigError(ClusterError):
    """There is no way to reach a cluster; the message names what was tried and what to do."""


class MissingKinds(ClusterError):
    """The API server does not serve kinds that we need; the message names them and the remedy."""


class HistoryRewritten(ClusterError):
    """A list is older than the one before it. Nothing in memory can be trusted: end, and begin anew."""

    def __init__(self, resource: str, known: str, listed: str) -> None:
        super().__init__(
            f"the API server listed {resource} at resourceVersion {listed} after {known}: if it goes on so, etcd was "
            "restored from a backup; then the operator ends and must be started again"
        )


class ApiError(ClusterError):
    """An answer that is not 2xx, or none at all (status 0)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{message} ({status} {reason})" if status else f"{message} ({reason})")
        self.status = status
        self.reason = reason
        self.message = message


class Unauthorized(ApiError):
    """401: the API server does not know our credentials."""


class Forbidden(ApiError):
    """403: RBAC or an admission policy says no; the message names the verb and the resource."""


class NotFound(ApiError):
    """404: no such object, or no such kind (is the CRD installed?)."""


class Conflict(ApiError):
    """409: somebody else was faster; read the object again and decide anew."""


class AlreadyExists(ApiError):
    """409 on create: the name is taken, perhaps by our own earlier call whose answer was lost."""


class Expired(ApiError):
    """410: the list or watch has to start again."""


class Invalid(ApiError):
    """422: the object breaks the schema or a validation rule. Repeating it is useless."""


class TooManyRequests(ApiError):
    """429. `disruption_budget` tells a PodDisruptionBudget that refuses an eviction from throttling."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        retry_after_seconds: float | None = None,
        disruption_budget: bool = False,
    ) -> None:
        super().__init__(status, reason, message)
        self.retry_after_seconds = retry_after_seconds
        self.disruption_budget = disruption_budget


class Unavailable(ApiError):
    """5xx, a timeout or a broken connection. A write may have been carried out nevertheless."""

    NO_ANSWER: ClassVar[int] = 0


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
}


def error_from_answer(status: int, phrase: str, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The error that an answer of the API server stands for.

    `body` is usually a metav1.Status in JSON; proxies and the storage layer answer in plain text.
    """
    answer = _status_object(body)
    reason = str(answer.get("reason") or phrase or "Unknown")
    message = str(answer.get("message") or body.decode(errors="replace").strip()[:500] or phrase)
    if status == 429:
        return TooManyRequests(status, reason, message, _retry_after_seconds(headers, answer), _is_budget(answer))
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExists(status, reason, message)
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else ApiError)
    return kind(status, reason, message)


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _details(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    details = answer.get("details")
    return details if isinstance(details, dict) else {}


def _is_budget(answer: Mapping[str, Any]) -> bool:
    return any(cause.get("reason") == "DisruptionBudget" for cause in _details(answer).get("causes") or ())


def _retry_after_seconds(headers: Mapping[str, str], answer: Mapping[str, Any]) -> float | None:
    value = headers.get("Retry-After") or _details(answer).get("retryAfterSeconds")
    try:
        return float(value) if value is not None else None
    except (TypeError, ValueError):
        return None  # an HTTP date: the API server never sends one
