"""What becomes of one instance as time goes by: pure functions of the instance and a time.

    pending ──boots_at──> running ──delete──> terminating ──terminates_at──> terminated
       └───────────────────── a notice's deadline, from any state ──────────────^

State follows from time alone, so a process that was down catches up at its first look. What has to be done at the
cluster's API server is an `Errand`: owed by an instance until it has been acknowledged.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from spotkube.model.offerings import SPOT
from spotkube.providers.port import Instance, InstanceOrder, InstanceState

PROVIDER_ID_SCHEME = "spotkube-local"

_ALIVE = (InstanceState.PENDING, InstanceState.RUNNING, InstanceState.TERMINATING)


class Cause(StrEnum):
    """Why an instance ended: its owner let go of it, or the cloud took it back at a deadline."""

    DELETED = "deleted"
    DEADLINE = "deadline"


class Errand(StrEnum):
    """What an instance owes to the cluster: its Node and the sign of a notice on it.

    When it has ended, that nothing plays it any more, which tells the pods that were lost; then its Node's removal.
    """

    REGISTER = "register"
    ANNOUNCE = "announce"
    POWER_OFF = "power-off"
    REMOVE = "remove"


class NotInterruptible(Exception):  # noqa: N818 - reads as the state it tells of
    """A notice that this instance can't get, with the reason."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One instance with all that decides its future. Times are seconds since the epoch.

    `joins` is False for one that boots and never becomes a Node. `registered`, `announced`, `powered_off` and `removed`
    say which errands are done. A notice sets `deadline` and `notice_id`, the end sets `ended_at` and `cause`.
    """

    id: str
    order: InstanceOrder
    launched_at: float
    boots_at: float
    state: InstanceState = InstanceState.PENDING
    joins: bool = True
    registered: bool = False
    deadline: float | None = None
    notice_id: str | None = None
    announced: bool = False
    terminates_at: float | None = None
    ended_at: float | None = None
    cause: Cause | None = None
    powered_off: bool = False
    removed: bool = False

    @property
    def provider_id(self) -> str:
        return f"{PROVIDER_ID_SCHEME}:///{self.order.offering.zone}/{self.id}"

    @property
    def alive(self) -> bool:
        return self.state in _ALIVE

    @property
    def instance(self) -> Instance:
        return Instance(
            provider_id=self.provider_id,
            token=self.order.token,
            name=self.order.name,
            offering=self.order.offering,
            state=self.state,
            launched_at=self.launched_at,
            tags=self.order.tags,
            termination_deadline=self.deadline,
        )


def advance(machine: Machine, now: float) -> Machine:
    """The machine as it stands at `now`, with the causes and times of what happened on the way."""
    if not machine.alive:
        return machine
    ends_at, cause = _end(machine)
    if ends_at is not None and ends_at <= now:
        return replace(machine, state=InstanceState.TERMINATED, ended_at=ends_at, cause=cause)
    if machine.state is InstanceState.PENDING and machine.boots_at <= now:
        return replace(machine, state=InstanceState.RUNNING)
    return machine


def next_change_at(machine: Machine) -> float | None:
    """When `advance` will next change it; None if never by itself."""
    if not machine.alive:
        return None
    boots_at = machine.boots_at if machine.state is InstanceState.PENDING else None
    return min((at for at in (boots_at, _end(machine)[0]) if at is not None), default=None)


def _end(machine: Machine) -> tuple[float | None, Cause | None]:
    """When it will end and why: whichever of deletion and deadline comes first."""
    ends = [(machine.terminates_at, Cause.DELETED), (machine.deadline, Cause.DEADLINE)]
    return min(((at, cause) for at, cause in ends if at is not None), default=(None, None))


def terminate(machine: Machine, now: float, delay_seconds: float) -> Machine:
    """The machine after its owner let go of it; one that is on its way out, or gone, stays as it is."""
    if machine.state not in (InstanceState.PENDING, InstanceState.RUNNING):
        return machine
    return replace(machine, state=InstanceState.TERMINATING, terminates_at=now + delay_seconds)


def interrupt(machine: Machine, now: float, notice_seconds: float, notice_id: str) -> Machine:
    """The machine with a notice. A second notice only counts if its deadline is earlier. Raises NotInterruptible."""
    if machine.order.offering.capacity_type != SPOT:
        raise NotInterruptible(
            f"{machine.id} ({machine.order.name}) is {machine.order.offering.capacity_type}: only spot is taken back; "
            "choose a spot instance"
        )
    if machine.state not in (InstanceState.PENDING, InstanceState.RUNNING):
        raise NotInterruptible(f"{machine.id} ({machine.order.name}) is {machine.state}: choose one that runs")
    deadline = now + notice_seconds
    if machine.deadline is not None and machine.deadline <= deadline:
        return machine
    return replace(machine, deadline=deadline, notice_id=notice_id, announced=False)


def errand(machine: Machine) -> Errand | None:
    """What it owes to the cluster now."""
    if not machine.alive:
        # Also for one that isn't registered: its Node may have been created and the answer lost.
        return Errand.POWER_OFF if not machine.powered_off else Errand.REMOVE if not machine.removed else None
    if machine.state is InstanceState.RUNNING and machine.joins and not machine.registered:
        return Errand.REGISTER
    if machine.registered and machine.deadline is not None and not machine.announced:
        return Errand.ANNOUNCE
    return None


def acknowledge(machine: Machine, done: Errand) -> Machine:
    """The machine after an errand was carried out."""
    match done:
        case Errand.REGISTER:
            return replace(machine, registered=True)
        case Errand.ANNOUNCE:
            return replace(machine, announced=True)
        case Errand.POWER_OFF:
            return replace(machine, powered_off=True)
        case Errand.REMOVE:
            return replace(machine, removed=True)
