"""A plan under construction: rows of like nodes, and what they leave of pods, bins and limits.

A row is a holder, the pods on it, and how many times it is there; so time and space grow with groups and not with pods.
"""

from typing import NamedTuple

import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import BoolArray, IntArray


class Nodes(NamedTuple):
    """Rows 0 to rows[0] - 1 are in use; a row whose `times` is 0 is gone.

    Attributes:
        rows: [1] how many rows there are.
        holder, times: [M] what the row is, and how often.
        pods: [M, G] on each node of the row.
        room: [M, R] and cap_left: [M, K + Q] what a node of the row still has (for quotas see below).
        remain: [G] pods without a place.
        stock: [H] holders still to be had.
        pool_left: [P, R0 + 2] what the pools may still buy.
        quota_left: [Q, D] what is left of the quotas.
        cut: [M] scratch: rows that lost a node in the change at hand; cuts: [1] how many.
        open: [G] scratch: groups that may join a row.
        caps: [K + Q] and met: [N] scratch: what a holder has left of caps and quotas, and the needs met there.
    """

    rows: IntArray
    holder: IntArray
    times: IntArray
    pods: IntArray
    room: IntArray
    cap_left: IntArray
    remain: IntArray
    stock: IntArray
    pool_left: IntArray
    quota_left: IntArray
    cut: IntArray
    cuts: IntArray
    open: BoolArray
    caps: IntArray
    met: IntArray


def make_nodes(instance: Instance, rows: int) -> Nodes:
    """Room for so many rows, none in use, nothing placed."""
    groups, resources = instance.arrays.demand.shape
    return Nodes(
        rows=np.zeros(1, np.int64),
        holder=np.zeros(rows, np.int64),
        times=np.zeros(rows, np.int64),
        pods=np.zeros((rows, groups), np.int64),
        room=np.zeros((rows, resources), np.int64),
        cap_left=np.zeros((rows, instance.arrays.caps.shape[1]), np.int64),
        remain=instance.problem.count.astype(np.int64).copy(),
        stock=instance.arrays.stock.copy(),
        pool_left=instance.pool_left.copy(),
        quota_left=instance.quota_left.copy(),
        cut=np.zeros(rows, np.int64),
        cuts=np.zeros(1, np.int64),
        open=np.zeros(groups, np.bool_),
        caps=np.zeros(instance.arrays.caps.shape[1], np.int64),
        met=np.zeros(instance.arrays.met.shape[1], np.int64),
    )


def reset(nodes: Nodes, instance: Instance) -> None:
    """Takes everything away again."""
    nodes.rows[0] = 0
    nodes.remain[:] = instance.problem.count
    nodes.stock[:] = instance.arrays.stock
    nodes.pool_left[:] = instance.pool_left
    nodes.quota_left[:] = instance.quota_left


class Left(NamedTuple):
    """What is left of pods, stock, limits and quotas, noted apart; as in Nodes."""

    remain: IntArray
    stock: IntArray
    pool_left: IntArray
    quota_left: IntArray
