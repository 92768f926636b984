"""Every setting of the operator: one model, filled from a YAML file, then the environment, then flags.

`python -m spotkube.settings` prints docs/reference/configuration.md.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from spotkube.model.cluster import Mode
from spotkube.model.policy import Pick, Policy

ENV_PREFIX = "SPOTKUBE_"
DEFAULT_NAMESPACE = "spotkube-system"
SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class SettingsError(Exception):
    """A setting is wrong; the message names each one, where it came from, its value and the remedy."""


def own_namespace() -> str:
    """The namespace of the pod that we run in; outside of a cluster the one that the chart uses."""
    try:
        return SERVICE_ACCOUNT_NAMESPACE.read_text().strip() or DEFAULT_NAMESPACE
    except OSError:
        return DEFAULT_NAMESPACE


class Settings(BaseSettings):
    """Build it with `load_settings`, whose errors are readable."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    # The cluster
    kubeconfig: Path | None = Field(
        None,
        description="Kubeconfig file. Without it: the pod's service account, else $KUBECONFIG, else ~/.kube/config.",
    )
    context: str | None = Field(None, description="Context of the kubeconfig. Without it: the current one.")
    namespace: str = Field(
        default_factory=own_namespace,
        min_length=1,
        description="Namespace of the Lease and of kept snapshots. In a pod: its own; else `spotkube-system`.",
    )
    api_qps: float = Field(400, gt=0, description="Calls a second to the API server in the long run.")
    api_burst: int = Field(
        800, ge=1, description="Calls to the API server that may be made at once before `api_qps` holds."
    )
    relist_seconds: float = Field(
        300, ge=10, description="Every kind is listed anew after this time, whatever the watches said."
    )

    # What to decide
    mode_override: Mode | None = Field(
        None,
        description="Overrides the mode of every NodePool that is not `Paused`: `Apply` buys and drains, `Recommend` "
        "only writes plans, `Paused` plans nothing.",
    )
    catalog_file: Path | None = Field(
        None, description="Catalog of instance types and prices. Without it: the one that comes with SpotKube."
    )
    provider_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+",
        description="Where the local provider (the fake cloud) listens, as `http://127.0.0.1:9090`. May be left out "
        "where `mode_override` is `Recommend` or `Paused`: offerings then come from the catalog.",
    )
    seed: int = Field(0, ge=0, description="Seed of every random choice of the planner.")
    planner_budget_seconds: float = Field(
        5,
        gt=0,
        description="The planner stops after this time with the best plan so far; sooner for few pods (10 ms each) and "
        "for pods of few kinds (0.1 s each, and 0.3), but never before half a second, unless a plan is near enough.",
    )
    enough_percent: float = Field(
        1,
        ge=0,
        le=100,
        description="Pods wait for the plan: with the policy `cheapest` the search ends as soon as it is proven that "
        "no plan is so many percent cheaper; 0 uses all the time.",
    )
    preference_percent: float = Field(
        5,
        ge=0,
        le=100,
        description="How much dearer a pod's room counts on a node that meets none of its preferences (preferred node "
        "affinity, taints with effect `PreferNoSchedule`); 0 passes over them.",
    )
    policy: Pick = Field(
        Pick.CHEAPEST,
        description="Which of the plans that were weighed is taken: `cheapest`; `balanced`, the least sum of its "
        "dollars an hour, the expected cost of interruptions, and the pods lost together at "
        "`policy_exchange_rate_usd`; or "
        "`safest`, the one that loses the fewest pods together of those within `policy_within_percent`.",
    )
    policy_exchange_rate_usd: float = Field(
        0.001,
        ge=0,
        le=1e6,
        description="For `balanced`: dollars an hour that it is worth to lose one pod less together.",
    )
    policy_within_percent: float = Field(
        5, ge=0, le=1e6, description="For `safest`: how many percent dearer than the cheapest plan it may be."
    )
    policy_max_pods_lost_together: float | None = Field(
        None,
        ge=0,
        description="Plans that lose more pods together (CVaR at 95 %) are not taken; where none loses fewer, none is "
        "made. Without it: no limit.",
    )
    moves_seconds: float = Field(
        60,
        gt=0,
        description="How often it is looked for nodes that are better given back or replaced, in quiet times and only "
        "where something changed.",
    )
    plan_history: int = Field(10, ge=1, description="CapacityPlans kept; older ones are deleted.")
    snapshot_max_kib: int = Field(
        900,
        ge=0,
        le=1000,
        description="Largest snapshot, in KiB, that is kept in a ConfigMap beside its CapacityPlan, so that `spotkube "
        "plan --snapshot` can make the plan again; 0 keeps none. 900 are enough for about 20,000 pods.",
    )
    snapshot_folder: Path | None = Field(
        None,
        description="Folder for snapshots as files, of whatever size. As many are kept there as `plan_history` says.",
    )
    resting_seconds: float = Field(
        180,
        ge=0,
        description="An offering that failed or was interrupted is not bought for this time, and for twice as long "
        "each time that it fails again, up to an hour.",
    )
    notice_margin_seconds: float = Field(
        5, ge=0, description="Pods must be gone this long before the deadline of a termination notice."
    )
    load_balancer_seconds: float = Field(
        10,
        ge=0,
        le=300,
        description="How long load balancers are given to forget a node before its pods are evicted, where no notice "
        "hurries us, and before its instance is ended.",
    )

    notice_queue_url: str | None = Field(
        None,
        pattern=r"^https?://[^/\s]+/.+$",
        description="Amazon SQS queue to which EventBridge sends notices of EC2 and AWS Health, such as "
        "`https://sqs.eu-west-1.amazonaws.com/123456789012/spotkube`. Without it, only signs on Nodes are notices.",
    )
    notice_queue_region: str | None = Field(
        None, description="Region of that queue, where its address does not tell it, such as a VPC endpoint's."
    )

    queue_tenant_label: str | None = Field(
        None,
        max_length=317,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        description="Label of Namespaces whose value names the tenant that shares the fair queue, such as "
        "`example.com/team`, so that several namespaces can be one. Without it, and "
        "where a Namespace lacks the label, each is a tenant by its own name.",
    )

    # When to decide
    cycle_seconds: float = Field(10, gt=0, description="A cycle runs at least this often, also when nothing changed.")
    batch_idle_seconds: float = Field(
        0.5, ge=0, description="Pods are planned for once no more of them came for this time."
    )
    batch_max_seconds: float = Field(
        3,
        ge=0,
        description="Pods are planned for at the latest after this time, though more are known to come, and though "
        "more keep coming, after a third of it, or as long as their plan will be searched for if that is longer.",
    )

    # Being one of several replicas
    leader_election: bool = Field(
        True, description="Act only while holding the Lease. Turn it off only for a single process."
    )
    lease_duration_seconds: float = Field(
        15, gt=0, description="A lease that was not renewed for this time may be taken over."
    )
    lease_renew_deadline_seconds: float = Field(
        10, gt=0, description="A leader that could not renew for this time stops acting."
    )
    lease_retry_seconds: float = Field(2, gt=0, description="How often the lease is looked at and renewed.")

    # Being watched
    health_port: int = Field(
        8080, ge=0, le=65535, description="Port of /healthz, /readyz and /metrics; 0 picks a free one."
    )
    log_format: Literal["json", "human"] = Field("json", description="One JSON object a line, or text for people.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe messages shown.")

    @model_validator(mode="after")
    def _orders(self) -> Self:
        if self.batch_idle_seconds > self.batch_max_seconds:
            raise ValueError(
                f"batch_idle_seconds ({self.batch_idle_seconds:g}) must not be above "
                f"batch_max_seconds ({self.batch_max_seconds:g})"
            )
        if not self.lease_duration_seconds > self.lease_renew_deadline_seconds > self.lease_retry_seconds:
            raise ValueError(
                f"lease_duration_seconds ({self.lease_duration_seconds:g}) must be above "
                f"lease_renew_deadline_seconds ({self.lease_renew_deadline_seconds:g}), and that above "
                f"lease_retry_seconds ({self.lease_retry_seconds:g}): else two replicas could lead at once"
            )
        return self

    @property
    def plan_policy(self) -> Policy:
        return Policy(
            self.policy,
            self.policy_exchange_rate_usd,
            self.policy_within_percent,
            self.policy_max_pods_lost_together,
        )


def load_settings(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a YAML file (if any), overridden by SPOTKUBE_* variables, overridden by flags.

    `overrides` are flags by field name; None means not given. Raises SettingsError.
    """
    sources = {
        f"file {file}": _read_file(file) if file is not None else {},
        "environment": dict(EnvSettingsSource(Settings)()),
        "flag": {name: value for name, value in (overrides or {}).items() if value is not None},
    }
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, given in sources.items():
        values |= given
        origins |= dict.fromkeys(given, origin)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(detail, origins) for detail in error.errors())) from error


def misspelt_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """SPOTKUBE_* variables that set nothing but look like one that would: name -> the likely name.

    Others are none of our business: Kubernetes itself sets SPOTKUBE_SERVICE_HOST where a Service is named spotkube.
    """
    known = [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    strangers = [name for name in environment if name.startswith(ENV_PREFIX) and name not in known]
    return {name: near[0] for name in strangers if (near := difflib.get_close_matches(name, known, 1, 0.85))}


def _read_file(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except OSError as error:
        raise SettingsError(f"settings file {file} cannot be read: {error.strerror}; check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {file} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise SettingsError(f"settings file {file} must hold `name: value` lines, as `cycle_seconds: 10`")
    return content


def _explain(detail: ErrorDetails, origins: Mapping[str, str]) -> str:
    if not detail["loc"]:
        return detail["msg"].removeprefix("Value error, ")
    name = str(detail["loc"][0])
    origin = origins.get(name, "default")
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Settings.model_fields, 1)
        remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(Settings.model_fields)}"
        return f"{name} ({origin}) is no setting: {remedy}"
    field = Settings.model_fields[name]
    expected = detail["msg"].removeprefix("Input ")
    return f"{name} ({origin}) is {detail['input']!r} but {expected}. {field.description} Default: {_default(name)}."


def _default(name: str) -> str:
    default = Settings.model_fields[name].default
    if name == "namespace":
        return f"{DEFAULT_NAMESPACE}, in a pod its own"
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


def reference_markdown() -> str:
    """docs/reference/configuration.md."""
    rows = [
        f"| `{name}` | `{ENV_PREFIX}{name.upper()}` | {_default(name)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    head = (
        "# Configuration\n\n"
        "<!-- Generated by `python -m spotkube.settings`; do not edit. -->\n\n"
        "Settings come from a YAML file of `name: value` lines, which environment variables override, which flags of\n"
        "`spotkube run` override. An unknown name or a bad value ends the start with a message that names it.\n\n"
        "| name in the file | environment variable | default | meaning |\n|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(reference_markdown(), end="")
