"""Every name that the project gives to things in Kubernetes: labels, annotations, taints, finalizers, gates."""

from typing import Final

GROUP: Final = "spotkube.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "spotkube"

# Labels that say whose a node, claim or pod is.
NODEPOOL: Final = f"{GROUP}/nodepool"
NODECLAIM: Final = f"{GROUP}/nodeclaim"
WORKLOAD: Final = f"{GROUP}/workload"
CAPACITYPLAN: Final = f"{GROUP}/capacityplan"
"""On a ConfigMap: the plan of which it holds the snapshot."""

# Labels that say what was bought; requirements of a NodePool may name them.
CAPACITY_TYPE: Final = f"{GROUP}/capacity-type"
INSTANCE_FAMILY: Final = f"{GROUP}/instance-family"
INSTANCE_CATEGORY: Final = f"{GROUP}/instance-category"
INSTANCE_GENERATION: Final = f"{GROUP}/instance-generation"
INSTANCE_SIZE: Final = f"{GROUP}/instance-size"
INSTANCE_CPU: Final = f"{GROUP}/instance-cpu"
INSTANCE_MEMORY: Final = f"{GROUP}/instance-memory"
INSTANCE_GPU_COUNT: Final = f"{GROUP}/instance-gpu-count"
INSTANCE_GPU_NAME: Final = f"{GROUP}/instance-gpu-name"

OFFERING_LABELS: Final = (
    CAPACITY_TYPE,
    INSTANCE_FAMILY,
    INSTANCE_CATEGORY,
    INSTANCE_GENERATION,
    INSTANCE_SIZE,
    INSTANCE_CPU,
    INSTANCE_MEMORY,
    INSTANCE_GPU_COUNT,
    INSTANCE_GPU_NAME,
)

# Kubernetes' own labels that the offering decides as well.
INSTANCE_TYPE: Final = "node.kubernetes.io/instance-type"
ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"
ARCH: Final = "kubernetes.io/arch"
OS: Final = "kubernetes.io/os"
HOSTNAME: Final = "kubernetes.io/hostname"

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""Kubernetes' label on every Namespace: its own name."""

WELL_KNOWN_OFFERING_LABELS: Final = (INSTANCE_TYPE, ZONE, REGION, ARCH, OS)

TERMINATION_FINALIZER: Final = f"{GROUP}/termination"
PLANNED_PODS: Final = f"{GROUP}/planned-pods"
"""Annotation on a claim: the UIDs of the pods that it was planned for, for a restart before all are nominated. A pod
that its owner had still to make is "namespace/Kind/name#number" there."""
DECIDED_AT: Final = f"{GROUP}/decided-at"
"""Annotation on a claim: when its CapacityPlan was recorded, by the API server's clock and not by ours."""
PLACEMENT_GATE: Final = f"{GROUP}/placement"
DISRUPTED_TAINT: Final = f"{GROUP}/disrupted"
DISRUPTED_TAINT_EFFECT: Final = "NoSchedule"
AVOID_TAINT: Final = f"{GROUP}/interruption-expected"
"""On a node that the cloud recommends to leave; pods that are there stay."""
AVOID_TAINT_EFFECT: Final = "NoSchedule"
UNREGISTERED_TAINT: Final = f"{GROUP}/unregistered"
"""A new node bears it (NoSchedule) until the pods of its plan have their places, so that no other pod takes their room.
Its value is the UID of the claim; the pods that are planned onto the node are given a toleration of just that."""
DO_NOT_DISRUPT: Final = f"{GROUP}/do-not-disrupt"
"""Annotation on a pod: "true" holds back every voluntary move of it. A spot notice is not voluntary."""

TERMINATION_DEADLINE: Final = f"{GROUP}/termination-deadline"
"""Annotation on a Node: when its instance ends (RFC 3339), from whoever knows it better than the taint tells. On a pod
it says that the operator has told it so."""
TERMINATION_NOTICE: Final = f"{GROUP}/termination-notice"
"""Annotation on a Node: the kind of notice that our agent found there, of which the deadline beside it is."""

POD_TEMPLATE_HASH: Final = "pod-template-hash"
"""Kubernetes' label by which a Deployment's ReplicaSet knows its pods."""
RELEASED: Final = "leaving"
"""Its value on a pod of a leaving node that was taken from its ReplicaSet, so that this makes its successor."""

MOVING: Final = f"{GROUP}/moving"
"""Annotation on a NodeClaim: where the pods of its node are being moved, until when, and by which plan (JSON)."""

EXCLUDE_FROM_LOAD_BALANCERS: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
"""Kubernetes' label that takes a Node off the load balancers of Services."""
APPLIED: Final = f"{GROUP}/applied"
"""Annotation on what is made for a Workload: a digest of what it was last made from."""

QUEUE_NAME: Final = f"{GROUP}/queue-name"
"""Label on a Job, or on a pod that is not a Job's: the FairQueue that it stands in. Where the chart's policies are at
work, such a Job is suspended and such a pod gated when it is made, and only the operator lets it go."""
QUEUE_GATE: Final = f"{GROUP}/queue"
"""Scheduling gate of a pod that waits for its queue. Only the operator removes it."""
POD_GROUP_NAME: Final = f"{GROUP}/pod-group-name"
"""Label on Jobs and pods of a queue: those of one namespace with the same name wait together, and start with all or
none."""
POD_GROUP_SIZE: Final = f"{GROUP}/pod-group-size"
"""Annotation beside it: how many pods the whole group has."""
HELD_BY_QUEUE: Final = f"{GROUP}/held-by-queue"
"""Annotation on a suspended Job: "true" says that it waits for its queue, so that the operator may let it go. A Job
that is suspended without it was suspended by its owner and stays so. On others it means nothing."""
ADMITTED_AT: Final = f"{GROUP}/admitted-at"
"""Annotation on a Job: when its queue let it go (RFC 3339)."""
EXPECTED_RUN_TIME: Final = f"{GROUP}/expected-run-time"
"""Annotation on a Job, or on a pod of a queue: how long it will run, as in 90s, 15m, 2h30m."""
CHECKPOINT_INTERVAL: Final = f"{GROUP}/checkpoint-interval"
"""Annotation on a Job: how often it saves its work, as in 10m."""
LAST_CHECKPOINT: Final = f"{GROUP}/last-checkpoint"
"""Annotation on a pod of a Job, or on the Job for all its pods without one; the job itself may write it: when its work
was last saved (RFC 3339)."""
MIN_PARALLELISM: Final = f"{GROUP}/min-parallelism"
"""Annotation on a Job of a queue: with how many pods at the same time it can do, so that it may be given fewer than its
parallelism."""
PARALLELISM: Final = f"{GROUP}/parallelism"
"""Annotation on a Job that its queue let go with MIN_PARALLELISM: its own spec.parallelism, in whose stead the Job has
the number of pods that its queue gives it as long as it is not suspended. The pods of such a Job are born with
QUEUE_GATE."""
RUN_SECONDS: Final = f"{GROUP}/run-seconds"
TERMINATION_SECONDS: Final = f"{GROUP}/termination-seconds"
NEVER_READY: Final = f"{GROUP}/never-ready"
"""These three are annotations on pods of the local cluster, which only plays them: how long one runs, and ends."""
SET_BY_USERS: Final = (
    CHECKPOINT_INTERVAL,
    DO_NOT_DISRUPT,
    EXPECTED_RUN_TIME,
    LAST_CHECKPOINT,
    MIN_PARALLELISM,
    NEVER_READY,
    POD_GROUP_NAME,
    POD_GROUP_SIZE,
    QUEUE_NAME,
    RUN_SECONDS,
    TERMINATION_SECONDS,
)
"""Labels and annotations of ours that people put on Jobs, pods and pod templates; all others are kept from them by the
chart's policies (the list stands in helm/spotkube/templates/ownpolicy.yaml, too) and refused in Workloads."""
