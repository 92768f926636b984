"""Templates of pods and volume claims: plain JSON, of which we check what we cannot do without.

Their whole schema would make the CRD many times as large and drop fields of newer Kubernetes versions; the API server
checks the rest when the pods are made.
"""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, WithJsonSchema

_ANY_OBJECT: Final[dict[str, Any]] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_NAME: Final[dict[str, Any]] = {"type": "string", "maxLength": 63}
_POD_TEMPLATE_SCHEMA: Final[dict[str, Any]] = _ANY_OBJECT | {
    "required": ["spec"],
    "properties": {
        "metadata": _ANY_OBJECT | {"description": "Labels and annotations of the pods."},
        "spec": _ANY_OBJECT
        | {
            "description": "A core/v1 PodSpec; kubectl explain pod.spec lists its fields.",
            "required": ["containers"],
            "properties": {
                "containers": {
                    "type": "array",
                    "description": "The pod's containers, at least one. Their requests are what nodes are bought for.",
                    "minItems": 1,
                    "maxItems": 200,
                    "items": _ANY_OBJECT
                    | {
                        "required": ["name"],
                        "properties": {"name": _NAME | {"description": "Name of the container."}},
                    },
                },
                "restartPolicy": _NAME | {"description": "A job's pods need Never or OnFailure."},
            },
        },
    },
}
_VOLUME_CLAIM_SCHEMA: Final[dict[str, Any]] = _ANY_OBJECT | {
    "required": ["metadata", "spec"],
    "properties": {
        "metadata": _ANY_OBJECT
        | {
            "required": ["name"],
            "description": "Name, labels and annotations of the claims.",
            "properties": {"name": _NAME | {"description": "Name by which volumeMounts refer to it."}},
        },
        "spec": _ANY_OBJECT | {"description": "A core/v1 PersistentVolumeClaimSpec."},
    },
}


def _check_pod_template(template: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(template.get("metadata", {}), dict):
        raise ValueError("metadata must be an object: write labels and annotations into it, or leave it out")
    spec = template.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    if not isinstance(containers, list) or not containers:
        raise ValueError("spec.containers must have at least one container: write a core/v1 PodTemplateSpec")
    for index, container in enumerate(containers):
        if not isinstance(container, dict) or not container.get("name"):
            raise ValueError(f"spec.containers[{index}] has no name: give it one")
    return template


def _check_volume_claim(template: dict[str, Any]) -> dict[str, Any]:
    metadata = template.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name") or not isinstance(template.get("spec"), dict):
        raise ValueError("a volume claim template needs metadata.name and spec: write a core/v1 PersistentVolumeClaim")
    return template


PodTemplate = Annotated[dict[str, Any], AfterValidator(_check_pod_template), WithJsonSchema(_POD_TEMPLATE_SCHEMA)]
"""A core/v1 PodTemplateSpec as plain JSON; the API server checks it when the pods are made."""
VolumeClaimTemplate = Annotated[
    dict[str, Any], AfterValidator(_check_volume_claim), WithJsonSchema(_VOLUME_CLAIM_SCHEMA)
]
