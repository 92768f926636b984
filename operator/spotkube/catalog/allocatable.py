"""What an EKS node of an instance type offers, and how much of that is left for pods: arithmetic in whole numbers.

Sources: the kubelet reservations that the EKS AMIs set (nodeadm), kubelet's eviction thresholds, the ENI rule of the
VPC CNI, and what Karpenter's AWS provider assumes for memory that the VM never sees. What daemonsets take is not taken
off here: that depends on the cluster, not on the type. Every rounding is against us, so that what is promised is there.
"""

import math

from spotkube.model.resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, ResourceList

MIB = 1024**2
GIB = 1024**3

# Hypervisor and kernel keep some of the advertised memory; 7.5 % is Karpenter's default, enough for nearly all types.
VM_MEMORY_OVERHEAD_PER_MILLE = 75
# Graviton kernels set this much aside for the contiguous memory allocator.
ARM64_CMA_MIB = 64

KUBE_RESERVED_MEMORY_MIB = 255
KUBE_RESERVED_MEMORY_MIB_PER_POD = 11
EVICTION_MEMORY_MIB = 100

ROOT_VOLUME_BYTES = 20 * GIB
KUBE_RESERVED_STORAGE_BYTES = 1 * GIB
EVICTION_STORAGE_PERCENT = 10

# Upper end of each step in millicores, and the share of it that kubelet and container runtime keep, in 1/10,000.
CPU_RESERVATION_STEPS = ((1_000, 600), (2_000, 100), (4_000, 50))
CPU_RESERVATION_BEYOND = 25

SMALL_NODE_VCPU = 30
SMALL_NODE_MAX_PODS = 110
LARGE_NODE_MAX_PODS = 250


def max_pods(enis: int, ipv4_per_eni: int, vcpu: int) -> int:
    """Pods that get an address from the VPC CNI, within the cap that EKS recommends for a node of that size.

    Each interface keeps its first address for itself; the two added pods use the host's (aws-node, kube-proxy).
    """
    by_addresses = enis * (ipv4_per_eni - 1) + 2
    return min(by_addresses, SMALL_NODE_MAX_PODS if vcpu <= SMALL_NODE_VCPU else LARGE_NODE_MAX_PODS)


def memory_capacity(memory_mib: int, arch: str) -> int:
    """Bytes that the node reports of `memory_mib` advertised."""
    visible_mib = memory_mib - (ARM64_CMA_MIB if arch == "arm64" else 0)
    overhead_mib = math.ceil(visible_mib * VM_MEMORY_OVERHEAD_PER_MILLE / 1000)
    return (visible_mib - overhead_mib) * MIB


def reserved_cpu(cpu_milli: int) -> int:
    """Millicores kept for kubelet and runtime: 6 % of the first core, 1, 0.5, 0.5 of the next, 0.25 % of the rest."""
    reserved, start = 0, 0
    for end, per_10_000 in CPU_RESERVATION_STEPS:
        reserved += max(min(cpu_milli, end) - start, 0) * per_10_000
        start = end
    reserved += max(cpu_milli - start, 0) * CPU_RESERVATION_BEYOND
    return math.ceil(reserved / 10_000)


def reserved_memory(pods: int) -> int:
    """Bytes kept for kubelet and runtime, which grow with the pods they may tend, and for the eviction threshold."""
    return (KUBE_RESERVED_MEMORY_MIB + KUBE_RESERVED_MEMORY_MIB_PER_POD * pods + EVICTION_MEMORY_MIB) * MIB


def reserved_storage(storage_bytes: int) -> int:
    """Bytes of the root volume kept for kubelet and runtime, and for the eviction threshold."""
    return KUBE_RESERVED_STORAGE_BYTES + math.ceil(storage_bytes * EVICTION_STORAGE_PERCENT / 100)


def allocatable(capacity: ResourceList) -> ResourceList:
    """What pods and daemonsets may ask for on a node of this capacity; never below zero."""
    kept = {
        CPU: reserved_cpu(capacity[CPU]),
        MEMORY: reserved_memory(capacity[PODS]),
        EPHEMERAL_STORAGE: reserved_storage(capacity[EPHEMERAL_STORAGE]),
    }
    return ResourceList({name: max(amount - kept.get(name, 0), 0) for name, amount in capacity.items()})
