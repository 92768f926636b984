"""Nodes and their CSI drivers."""

from typing import Annotated

from pydantic import Field

from spotkube.convert.schemas.parts import Amounts, Condition, Count, Effect, Key, Named, Part


class Taint(Part):
    key: Key
    value: str | None = None
    effect: Effect


class NodeSpec(Part):
    taints: list[Taint] | None = None
    unschedulable: bool | None = None
    provider_id: Annotated[str | None, Field(alias="providerID")] = None


class NodeStatus(Part):
    allocatable: Amounts | None = None
    capacity: Amounts | None = None
    conditions: list[Condition] | None = None


class Node(Named):
    spec: NodeSpec | None = None
    status: NodeStatus


class DriverAllocatable(Part):
    count: Count | None = None


class Driver(Part):
    name: Key
    allocatable: DriverAllocatable | None = None


class CsiNodeSpec(Part):
    drivers: list[Driver] | None = None


class CSINode(Named):
    spec: CsiNodeSpec | None = None
