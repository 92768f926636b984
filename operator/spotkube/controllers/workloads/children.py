"""The Job, Deployment or StatefulSet that a Workload asks for, as the JSON that is applied.

The pod template stays the user's. We add what makes a Workload's promises hold without us: its label, a node affinity
by which kube-scheduler itself keeps `spot.never` off spot nodes, and the scheduling gate of pinned pods.

`spec.replicas` is the Workload's: a HorizontalPodAutoscaler on the child is left alone until the Workload changes, but
is overruled then, and plans count on the Workload's number. Scale by an autoscaler what a `targetRef` names.
"""

import copy
import math
from typing import Any, Final

from spotkube.api.fields import parse_duration_seconds
from spotkube.api.workload import Workload
from spotkube.api.workloadsources import DeploymentSource, JobRole, JobSource, Placement, StatefulSetSource
from spotkube.controllers.workloads.templates import forbidden_names
from spotkube.convert.workloads import child_name, digest, wanted_replicas
from spotkube.model import labels as keys
from spotkube.model.offerings import SPOT
from spotkube.model.pods import DEFAULT_SCHEDULER

Object = dict[str, Any]

NOT_ON_SPOT: Final = {"key": keys.CAPACITY_TYPE, "operator": "NotIn", "values": [SPOT]}
_IGNORE_DISRUPTIONS: Final = {
    "action": "Ignore",
    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
}


class MalformedTemplateError(ValueError):
    """The pod template has a field of a wrong type, so that nothing can be added to it, or names of ours."""


def desired_child(workload: Workload, role: JobRole | None = None) -> Object | None:
    """What is made under the Workload's name, or for one of its roles; None for a `targetRef`. Raises
    MalformedTemplateError."""
    spec = workload.spec
    source = (role.job if role is not None else spec.job) or spec.deployment or spec.stateful_set
    if source is None:
        return None
    template = _pod_template(workload, source.template)
    child: Object = {
        "apiVersion": "batch/v1" if spec.is_job else "apps/v1",
        "kind": str(spec.source_kind),
        "metadata": child_metadata(workload) | {"name": child_name(workload, role)},
        "spec": _child_spec(workload, source) | {"template": template},
    }
    child["metadata"]["annotations"] = {keys.APPLIED: _digest(workload, child)}
    if spec.is_job and spec.queue_name:
        child["metadata"]["labels"][keys.QUEUE_NAME] = spec.queue_name
        if role is not None:
            child["metadata"]["labels"][keys.POD_GROUP_NAME] = workload.name
            child["metadata"]["annotations"][keys.POD_GROUP_SIZE] = str(wanted_replicas(workload))
        if isinstance(source, JobSource):
            child["metadata"]["annotations"] |= _queue_annotations(workload, source)
    return child


def _queue_annotations(workload: Workload, job: JobSource) -> Object:
    annotations = {keys.HELD_BY_QUEUE: "true"}
    spec = workload.spec
    if spec.expected_run_time is not None:
        annotations[keys.EXPECTED_RUN_TIME] = _run_time(spec.expected_run_time, job)
    if spec.min_parallelism is not None:
        annotations[keys.MIN_PARALLELISM] = str(spec.min_parallelism)
    if spec.checkpoint_interval is not None:
        annotations[keys.CHECKPOINT_INTERVAL] = spec.checkpoint_interval
    return annotations


def _run_time(of_a_pod: str, job: JobSource) -> str:
    """Of the whole job: its pods run in waves where not all run at the same time."""
    waves = math.ceil(job.completions / job.parallelism)
    return of_a_pod if waves == 1 else f"{parse_duration_seconds(of_a_pod) * waves}s"


def child_metadata(workload: Workload) -> Object:
    """Metadata of whatever is made for a Workload: its name and label, and the owner reference by which it goes when
    the Workload goes."""
    owner = {
        "apiVersion": workload.api_version,
        "kind": workload.kind,
        "name": workload.name,
        "uid": workload.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "name": workload.name,
        "namespace": workload.metadata.namespace,
        "labels": {keys.WORKLOAD: workload.name},
        "ownerReferences": [owner],
    }


def _child_spec(workload: Workload, source: JobSource | DeploymentSource | StatefulSetSource) -> Object:
    if isinstance(source, JobSource):
        # Its queue lets it go.
        return _job_spec(source) | ({"suspend": True} if workload.spec.queue_name else {})
    spec: Object = {"replicas": source.replicas, "selector": {"matchLabels": {keys.WORKLOAD: workload.name}}}
    if isinstance(source, DeploymentSource):
        return spec
    spec["podManagementPolicy"] = str(source.pod_management_policy)
    if source.service_name:
        spec["serviceName"] = source.service_name
    if source.volume_claim_templates:
        spec["volumeClaimTemplates"] = copy.deepcopy(list(source.volume_claim_templates))
    return spec


def _job_spec(source: JobSource) -> Object:
    spec: Object = {
        "completions": source.completions,
        "parallelism": source.parallelism,
        "backoffLimit": source.backoff_limit,
    }
    if source.template["spec"].get("restartPolicy") == "Never":
        # An interruption is not the job's failure. The API allows such a policy with restartPolicy Never only; with
        # OnFailure the kubelet restarts containers, and only evicted pods count against the limit.
        spec["podFailurePolicy"] = {"rules": [copy.deepcopy(_IGNORE_DISRUPTIONS)]}
    return spec


def _pod_template(workload: Workload, template: Object) -> Object:
    template = copy.deepcopy(template)
    try:
        _refuse_forbidden(template, workload.name)
        metadata = _within(template, "metadata")
        _within(metadata, "labels")[keys.WORKLOAD] = workload.name
        if workload.spec.effective_placement is Placement.PINNED:
            _add_gate(template["spec"])
        if workload.spec.spot.never:
            _keep_off_spot(template["spec"])
    except (AttributeError, TypeError) as error:
        raise MalformedTemplateError(
            "metadata, affinity or schedulingGates of the pod template has a value of a wrong type:"
            " compare it with `kubectl explain pod` and mend it"
        ) from error
    return template


def _refuse_forbidden(template: Object, workload: str) -> None:
    names = forbidden_names(template, workload)
    if names:
        raise MalformedTemplateError(
            f"the pod template has {', '.join(names)}, which SpotKube alone sets: leave it out of labels, annotations"
            " and schedulingGates"
        )


def _add_gate(spec: Object) -> None:
    """Not where another scheduler is asked for: it would not go by our nominations."""
    if spec.get("schedulerName") not in (None, "", DEFAULT_SCHEDULER):
        return
    gates = spec.get("schedulingGates") or []
    if not any(gate.get("name") == keys.PLACEMENT_GATE for gate in gates):
        spec["schedulingGates"] = [*gates, {"name": keys.PLACEMENT_GATE}]


def _keep_off_spot(spec: Object) -> None:
    """Terms are ORed, so each of them must say it. A term without conditions matches no node and stays so."""
    affinity = _within(_within(spec, "affinity"), "nodeAffinity")
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        required = {"nodeSelectorTerms": [{"matchExpressions": []}]}
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = required
        _and_not_on_spot(required["nodeSelectorTerms"][0])
        return
    for term in required.get("nodeSelectorTerms") or ():
        if term.get("matchExpressions") or term.get("matchFields"):
            _and_not_on_spot(term)


def _and_not_on_spot(term: Object) -> None:
    expressions = term.get("matchExpressions") or []
    if NOT_ON_SPOT not in expressions:
        term["matchExpressions"] = [*expressions, copy.deepcopy(NOT_ON_SPOT)]


def _within(parent: Object, key: str) -> Object:
    """The object under `key`, put there if it is absent or null. Raises TypeError for anything else."""
    value = parent.get(key)
    if value is None:
        value = parent[key] = {}
    if not isinstance(value, dict):
        raise TypeError(f"{key} is no object")
    return value


def _digest(workload: Workload, child: Object) -> str:
    """What the child is made from. A Job's template is fixed once made, so only what may change in the Workload
    counts: an operator of a newer version must not find fault with the jobs that run."""
    if workload.spec.is_job:
        return digest({"never": workload.spec.spot.never, "placement": workload.spec.effective_placement})
    return digest(child)
