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
PLACEMENT_GATE: Final = f"{GROUP}/placement"
DISRUPTED_TAINT: Final = f"{GROUP}/disrupted"
DISRUPTED_TAINT_EFFECT: Final = "NoSchedule"
UNREGISTERED_TAINT: Final = f"{GROUP}/unregistered"
"""A new node bears it (NoSchedule) until the pods of its plan have their places, so that no other pod takes their room.
Its value is the UID of the claim; the pods that are planned onto the node are given a toleration of just that."""
DO_NOT_DISRUPT: Final = f"{GROUP}/do-not-disrupt"
"""Annotation on a pod: "true" holds back every voluntary move of it. A spot notice is not voluntary."""

TERMINATION_DEADLINE: Final = f"{GROUP}/termination-deadline"
"""Annotation on a Node: when its instance ends (RFC 3339), from whoever knows it better than the taint tells."""

EXCLUDE_FROM_LOAD_BALANCERS: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
"""Kubernetes' label that takes a Node off the load balancers of Services."""
APPLIED: Final = f"{GROUP}/applied"
"""Annotation on what is made for a Workload: a digest of what it was last made from."""

QUEUE_NAME: Final = f"{GROUP}/queue-name"
"""Label on a Job: the FairQueue that it stands in. Where the chart's policies are at work, such a Job is suspended when
it is made, and only the operator lets it go."""
HELD_BY_QUEUE: Final = f"{GROUP}/held-by-queue"
"""Annotation on a suspended Job: "true" says that it waits for its queue, so that the operator may let it go. A Job
that is suspended without it was suspended by its owner and stays so. On others it means nothing."""
ADMITTED_AT: Final = f"{GROUP}/admitted-at"
"""Annotation on a Job: when its queue let it go (RFC 3339)."""
EXPECTED_RUN_TIME: Final = f"{GROUP}/expected-run-time"
"""Annotation on a Job: how long it will run, as in 90s, 15m, 2h30m."""
QUEUE_GATE: Final = f"{GROUP}/queue"
"""Scheduling gate of pods that wait for their queue."""
MIN_PARALLELISM: Final = f"{GROUP}/min-parallelism"
"""Annotation on a Job of a queue: with how many pods at the same time it can do, so that it may be given fewer than its
parallelism."""
PARALLELISM: Final = f"{GROUP}/parallelism"
"""Annotation on a Job that its queue let go with MIN_PARALLELISM: its own spec.parallelism, in whose stead the Job has
the number of pods that its queue gives it as long as it is not suspended. The pods of such a Job are born with
QUEUE_GATE."""
SET_BY_USERS: Final = (DO_NOT_DISRUPT, EXPECTED_RUN_TIME, MIN_PARALLELISM, QUEUE_NAME)
"""Labels and annotations of ours that people put on Jobs, pods and pod templates; the chart's policies keep all others
from them (the list stands in helm/spotkube/templates/ownpolicy.yaml, too)."""
