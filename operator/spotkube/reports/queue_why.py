"""Why one job stands where it stands in its queue, in sentences and as values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from spotkube.convert.places import Numbers, WaitingJob
from spotkube.reports.layout import widen
from spotkube.reports.queue_report import QueueReport
from spotkube.reports.queue_values import job_values
from spotkube.reports.times import from_now, moment, rfc3339, span

BEFORE = 3
NO_NUMBERS = (
    "The numbers that make the order are kept by the operator and can't be read here: its administrators see them with "
    "this command."
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """`before` are the three that are just before the job in its queue, the nearest first; `pending` is how many wait
    there. Times are Unix times."""

    job: WaitingJob
    before: tuple[WaitingJob, ...]
    pending: int
    as_of: float | None
    now: float
    notes: tuple[str, ...] = ()


def explain(report: QueueReport, job: WaitingJob) -> Explanation:
    """Of a job of the report."""
    line = report.places.of_queue(job.queue)
    index = line.index(job)
    before = tuple(reversed(line[max(0, index - BEFORE) : index])) if job.position is not None else ()
    return Explanation(job, before, report.pending(job.queue), report.places.as_of, report.now, report.notes)


def sentences(why: Explanation) -> dict[str, list[str]]:
    """By what they tell of: Place, Size, Order, Before it, Why it waits, Start."""
    job, numbers = why.job, why.job.numbers
    found = {"Place": list(_place(why))}
    if numbers is None:
        found["Order"] = [NO_NUMBERS]
    else:
        found |= {"Size": list(_size(numbers)), "Order": list(_order(job, numbers))}
        found["Before it"] = list(_before(why, numbers))
    found["Why it waits"] = [_sentence(f"{job.reason}: {job.message}" if job.message else job.reason)]
    found["Start"] = list(_start(why))
    return found


def print_why(console: Console, why: Explanation) -> None:
    """A heading, and a sentence a line."""
    widen(console)
    for heading, lines in sentences(why).items():
        console.print(f"[bold]{heading}[/bold]")
        for line in lines:
            console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    for note in why.notes:
        console.print(f"note: {escape(note)}", highlight=False)


def why_values(why: Explanation) -> dict[str, Any]:
    """As `queue_values` has a waiting job, with `pending` (in its queue), `asOf`, `before` (jobs of the same form, with
    `why` they go first) and `sentences`."""
    numbers = why.job.numbers
    return {
        **job_values(why.job),
        "pending": why.pending,
        "asOf": rfc3339(why.as_of),
        "before": [
            {**job_values(other), "why": why_first(other.numbers, numbers, same_tenant=other.tenant == why.job.tenant)}
            for other in why.before
            if other.numbers is not None and numbers is not None
        ],
        "sentences": sentences(why),
        "notes": list(why.notes),
    }


def why_first(other: Numbers, ours: Numbers, *, same_tenant: bool) -> str:
    """Why the other goes before ours, by what the order compares, in its order (docs/queueing.md)."""
    if ours.leftover and not other.leftover:
        return "the weight here is 0, which comes after all weights"
    if other.priority != ours.priority:
        return f"its priority {other.priority} is above {ours.priority}"
    if other.overdue and not ours.overdue:
        return "its turn is overdue"
    if other.overdue:
        return f"its turn was due before: {_virtual(other.queue_deadline)} against {_virtual(ours.queue_deadline)}"
    if same_tenant:
        if other.size < ours.size:
            return f"of the same tenant, and shorter: size {_virtual(other.size)} against {_virtual(ours.size)}"
        return "of the same tenant, it came early enough not to be passed by shorter ones"
    if _virtual(other.virtual_deadline) != _virtual(ours.virtual_deadline):
        theirs, own = _virtual(other.virtual_deadline), _virtual(ours.virtual_deadline)
        return f"its virtual deadline {theirs} is before {own}"
    return "its virtual deadline is the same, and it was submitted first"


def _place(why: Explanation) -> Iterator[str]:
    job, numbers = why.job, why.job.numbers
    if job.position is None:
        yield f"{job.name} waits in queue {job.queue}."
        return
    ago = "" if why.as_of is None else f", as of {span(max(0.0, why.now - why.as_of))} ago"
    overall = "" if job.overall is None else f", and {job.overall} in the order over all queues"
    yield f"{job.name} is {job.position} of {why.pending} that wait in queue {job.queue}{overall}{ago}."
    if numbers is not None:
        yield f"It was submitted {span(max(0.0, why.now - numbers.submitted_seconds))} ago by tenant {job.tenant}."
        if numbers.preemptions:
            times = "once" if numbers.preemptions == 1 else f"{numbers.preemptions} times"
            yield f"It was preempted {times}, and keeps its place."


def _size(numbers: Numbers) -> Iterator[str]:
    run, share = span(numbers.run_seconds), f"{numbers.size / numbers.run_seconds:.2%}"
    yield (
        f"Its size is {_virtual(numbers.size)}: an estimated run of {run} x {share} of the whole capacity, by the "
        f"resource that it takes most of, for {numbers.pods} pod{'s' * (numbers.pods != 1)}."
    )
    yield f"The estimate is from {numbers.estimate_source}: {numbers.estimate}."
    if numbers.error_ratio is None:
        yield "No estimate of such jobs has been tested by a run yet."
    else:
        yield f"Half of the estimates of such jobs were off by no more than a factor of {numbers.error_ratio:.2f}."
    if numbers.usd_per_hour is not None:
        yield f"It costs about ${numbers.usd_per_hour:.2f} an hour while it runs."


def _order(job: WaitingJob, numbers: Numbers) -> Iterator[str]:
    yield f"Its priority is {numbers.priority}; the highest of a queue goes first, and then the least virtual deadline."
    if numbers.leftover:
        yield f"Queue {job.queue} or tenant {job.tenant} in it has weight 0: it gets what nobody with a weight wants."
    else:
        yield f"Tenant {job.tenant} has weight {numbers.weight:g} in queue {job.queue}."
    if numbers.virtual_start is None or numbers.virtual_deadline is None:
        yield (
            "Its turn is overdue: ideal sharing is done with it already, or it ran and waits again. So it goes by the "
            f"deadline {_virtual(numbers.queue_deadline)} that it had then."
        )
        return
    chain = numbers.virtual_deadline - numbers.virtual_start
    yield (
        f"The tenant's jobs are chained from its virtual start {_virtual(numbers.virtual_start)}, short ones first; up "
        f"to and with this one they have {_virtual(chain)} to go (sizes over the weight), so its virtual deadline is "
        f"{_virtual(numbers.virtual_deadline)}."
    )


def _before(why: Explanation, numbers: Numbers) -> Iterator[str]:
    if not why.before:
        yield "Nobody is before it in its queue."
    for other in why.before:
        if other.numbers is None:
            continue
        at = "overdue" if other.numbers.overdue else f"deadline {_virtual(other.numbers.virtual_deadline)}"
        reason = why_first(other.numbers, numbers, same_tenant=other.tenant == why.job.tenant)
        yield f"{other.position}: {other.name} of tenant {other.tenant}, {at}: {reason}."


def _start(why: Explanation) -> Iterator[str]:
    job, now = why.job, why.now
    if job.estimated_start is None:
        yield "When it starts can't be told: nothing that is known leads to it."
        return
    yield f"It will likely start {from_now(job.estimated_start, now)}, at {moment(job.estimated_start, now)} UTC."
    if job.earliest_start is not None and job.latest_start is not None:
        yield (
            f"Four of five such jobs start between {moment(job.earliest_start, now)} and "
            f"{moment(job.latest_start, now)} UTC, if things go on as lately."
        )


def _virtual(amount: float | None) -> str:
    """Sizes and virtual times."""
    return "none" if amount is None else f"{amount:,.3f}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
