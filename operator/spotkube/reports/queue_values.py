"""Queues, their tenants and who waits, as plain values for JSON. The keys stay as they are; new ones may come.

version   1
asOf      when the operator kept who waits, null where it did not
origin    where who waits is known from: Operator; Workloads (their status: no positions, no numbers); Nothing
queues    name, cohort, weight, active (True, False, Unknown), reason, message, pending, admitted, usage (name, used,
          borrowed, quota), spend and budget: usdPerHour, usdToday or usdPerDay, usdThisMonth or usdPerMonth, null
          without a limit; overruns (job, pods, since: jobs with pods that run longer than advisoryRunTime)
tenants   queue, name, weight, pending, admitted, usdPerHour, usdThisMonth, share (its part of the queue's dollars an
          hour; null while that spends nothing), entitled (its part by weights among tenants with work)
waiting   job, queue, tenant, position, overall, estimatedStart, earliestStart and latestStart (four of five start
          between them; null where nothing that is known leads to a start), reason, message, numbers
numbers   what the place follows from, null where they can't be read: submittedAt, priority, pods, usdPerHour,
          preemptions, runSeconds, estimateSource (Declared, History, Default), estimate, errorRatio (half of such
          estimates were off by no more than this factor; null before any has ended), size (run time x part of the whole
          capacity), weight, leftover (weight 0), virtualStart (the tenant's), virtualDeadline (both null for one whose
          turn is overdue), queueDeadline
notes     what could not be read

Moments are RFC 3339.
"""

from typing import Any

from spotkube.api.common import ConditionStatus, find_condition
from spotkube.api.fairqueue import ACTIVE, FairQueue
from spotkube.convert.places import Numbers, WaitingJob
from spotkube.reports.queue_report import QueueReport, TenantShare
from spotkube.reports.times import rfc3339

VERSION = 1


def queue_values(report: QueueReport) -> dict[str, Any]:
    return {
        "version": VERSION,
        "asOf": rfc3339(report.places.as_of),
        "origin": report.places.origin.value,
        "queues": [_queue(queue) for queue in report.queues],
        "tenants": [_tenant(share) for share in report.shares],
        "waiting": [job_values(job) for job in report.places.jobs],
        "notes": list(report.notes),
    }


def job_values(job: WaitingJob) -> dict[str, Any]:
    return {
        "job": job.name,
        "queue": job.queue,
        "tenant": job.tenant,
        "position": job.position,
        "overall": job.overall,
        "estimatedStart": rfc3339(job.estimated_start),
        "earliestStart": rfc3339(job.earliest_start),
        "latestStart": rfc3339(job.latest_start),
        "reason": job.reason,
        "message": job.message,
        "numbers": None if job.numbers is None else _numbers(job.numbers),
    }


def _queue(queue: FairQueue) -> dict[str, Any]:
    spec, status = queue.spec, queue.status
    condition = find_condition(status.conditions, ACTIVE)
    used = {one.name: one for one in status.usage}
    return {
        "name": queue.name,
        "cohort": spec.cohort,
        "weight": spec.weight,
        "active": (condition.status if condition else ConditionStatus.UNKNOWN).value,
        "reason": condition.reason if condition else "",
        "message": condition.message if condition else "",
        "pending": status.pending_workloads,
        "admitted": status.admitted_workloads,
        "usage": [
            {
                "name": quota.name,
                "used": used[quota.name].used if quota.name in used else None,
                "borrowed": used[quota.name].borrowed if quota.name in used else None,
                "quota": quota.nominal_quota,
            }
            for quota in spec.resources
        ],
        "spend": {
            "usdPerHour": status.spend.usd_per_hour,
            "usdToday": status.spend.usd_today,
            "usdThisMonth": status.spend.usd_this_month,
        },
        "budget": {
            "usdPerHour": spec.budget.usd_per_hour,
            "usdPerDay": spec.budget.usd_per_day,
            "usdPerMonth": spec.budget.usd_per_month,
        },
        "overruns": [
            {"job": one.job, "pods": one.pods, "since": rfc3339(one.since.timestamp())} for one in status.overruns
        ],
    }


def _tenant(one: TenantShare) -> dict[str, Any]:
    return {
        "queue": one.queue,
        "name": one.tenant.name,
        "namespaces": list(one.tenant.namespaces),
        "weight": one.tenant.weight,
        "pending": one.tenant.pending,
        "admitted": one.tenant.admitted,
        "usdPerHour": one.tenant.usd_per_hour,
        "usdThisMonth": one.tenant.usd_this_month,
        "share": None if one.share is None else round(one.share, 4),
        "entitled": round(one.entitled, 4),
    }


def _numbers(numbers: Numbers) -> dict[str, Any]:
    return {
        "submittedAt": rfc3339(numbers.submitted_seconds),
        "priority": numbers.priority,
        "pods": numbers.pods,
        "usdPerHour": numbers.usd_per_hour,
        "preemptions": numbers.preemptions,
        "runSeconds": numbers.run_seconds,
        "estimateSource": numbers.estimate_source,
        "estimate": numbers.estimate,
        "errorRatio": numbers.error_ratio,
        "size": numbers.size,
        "weight": numbers.weight,
        "leftover": numbers.leftover,
        "virtualStart": numbers.virtual_start,
        "virtualDeadline": numbers.virtual_deadline,
        "queueDeadline": numbers.queue_deadline,
    }
