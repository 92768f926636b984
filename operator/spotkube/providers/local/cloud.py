"""The fake cloud itself: sells machines within its capacity, takes spot back, and fails on demand.

It waits for nothing and calls nobody: the scheduler tells it the time and carries out its errands.
"""

import logging
import math
import random
import secrets
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from spotkube.model.offerings import OfferingKey
from spotkube.providers.local import machines
from spotkube.providers.local.machines import Errand, Machine, errand, next_change_at
from spotkube.providers.local.nodes import BoundPod, format_time
from spotkube.providers.local.store import Event, Store
from spotkube.providers.local.wire import CapacityMessage, FaultsMessage, format_key, parse_key
from spotkube.providers.port import InstanceOrder, InsufficientCapacity, ProviderError

log = logging.getLogger("spotkube.fakecloud")

# How long terminated instances are listed; EC2 shows them for about an hour.
RECALL_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Delays:
    """`registration_seconds` from launch to Node, and up to `jitter_seconds` more by chance, so that nodes arrive in
    any order; `termination_seconds` from delete to terminated."""

    registration_seconds: float = 2.0
    termination_seconds: float = 1.0
    jitter_seconds: float = 0.0


class FakeCloud:
    def __init__(self, store: Store, sold: Collection[OfferingKey], delays: Delays, clock: Callable[[], float]) -> None:
        """Goes on from what is in the store. `sold` is what may be ordered, `clock` gives seconds since the epoch."""
        self._store = store
        self._sold = frozenset(sold)
        self._delays = delays
        self._clock = clock
        self._machines = {machine.id: machine for machine in store.machines()}
        self._by_token = {machine.order.token: machine.id for machine in self._machines.values()}
        # Those with a future; all others stay as they are, and are kept for their tokens.
        self._open = {each.id: None for each in self._machines.values() if not each.removed}
        # Of thousands of machines few owe anything, and none changes by itself before this time.
        self._owing = {each.id: None for each in self._machines.values() if errand(each) is not None}
        self._due_at = -math.inf
        self._default_limit, self._limits = store.limits()
        self._faults = FaultsMessage()
        self.changed: Callable[[], None] = lambda: None

    # Orders.

    def create(self, order: InstanceOrder) -> tuple[Machine, bool]:
        """The machine bought for this token, and whether it was bought just now. See CloudProvider.create."""
        now = self._clock()
        self.advance(now)
        if (known := self._by_token.get(order.token)) is not None:
            return self._machines[known], False
        self._check(order, now)
        machine = Machine(
            id=f"i-{secrets.token_hex(8)}",
            order=order,
            launched_at=now,
            boots_at=now + self._delays.registration_seconds + random.uniform(0.0, self._delays.jitter_seconds),
            joins=not self._take("never_register"),
        )
        self._by_token[order.token] = machine.id
        self._open[machine.id] = None
        self._save(machine, self._event(machine, "launched", now, token=order.token, joins=machine.joins))
        if self._take("die_early"):
            machine = machines.terminate(machine, now, self._delays.termination_seconds)
            self._save(machine, self._event(machine, "failed", now))
        return machine, True

    def _check(self, order: InstanceOrder, now: float) -> None:
        if order.offering not in self._sold:
            raise ProviderError(f"offering: {order.offering} is not sold here; choose one of GET /v1/offerings")
        for each in self._alive():
            if each.order.name == order.name:
                raise ProviderError(
                    f"name: {order.name!r} is the name of {each.id}, which is {each.state}; use another"
                )
        limit = self._limits.get(order.offering, self._default_limit)
        sold_out = limit is not None and self._used()[order.offering] >= limit
        if sold_out or format_key(order.offering) in self._faults.insufficient:
            detail = {"name": order.name, "offering": format_key(order.offering), "token": order.token}
            self._record(Event(now, "refused", "", detail))
            raise InsufficientCapacity(order.offering)

    def delete(self, instance_id: str) -> None:
        """Begins to terminate; an unknown or ended instance is left as it is."""
        now = self._clock()
        self.advance(now)
        machine = self._machines.get(instance_id)
        if machine is None:
            return
        after = machines.terminate(machine, now, self._delays.termination_seconds)
        if after is not machine:
            self._save(after, self._event(after, "deleting", now))

    def get(self, instance_id: str) -> Machine | None:
        self.advance(self._clock())
        return self._machines.get(instance_id)

    def list(self) -> tuple[Machine, ...]:
        """All that live, and those that ended within the last hour."""
        now = self._clock()
        self.advance(now)
        return tuple(
            each for each in self._machines.values() if each.ended_at is None or each.ended_at > now - RECALL_SECONDS
        )

    # What a cloud does to its customers.

    def interrupt(self, instance_id: str, notice_seconds: float) -> Machine | None:
        """Gives a spot instance its notice. None for an unknown one. Raises NotInterruptible."""
        now = self._clock()
        self.advance(now)
        machine = self._machines.get(instance_id)
        if machine is None:
            return None
        after = machines.interrupt(machine, now, notice_seconds, notice_id=f"spot-itn-{secrets.token_hex(6)}")
        if after is not machine and after.deadline is not None:
            self._save(after, self._event(after, "noticed", now, deadline=format_time(after.deadline)))
        return after

    def set_capacity(self, message: CapacityMessage) -> None:
        limits: dict[OfferingKey | None, int | None] = {parse_key(text): n for text, n in message.limits.items()}
        if "default" in message.model_fields_set:
            limits[None] = message.default
        for key, limit in limits.items():
            self._store.set_limit(key, limit)
        self._default_limit, self._limits = self._store.limits()

    def capacity(self) -> dict[str, Any]:
        """The limits, and how many instances of each offering are alive."""
        return {
            "default": self._default_limit,
            "limits": {format_key(key): limit for key, limit in sorted(self._limits.items())},
            "used": {format_key(key): count for key, count in sorted(self._used().items())},
        }

    def set_faults(self, message: FaultsMessage) -> None:
        self._faults = message

    @property
    def price_times(self) -> float:
        return self._faults.price_times

    def drops_answer(self) -> bool:
        """Whether the answer to the request at hand is to be lost; counts it."""
        return self._take("drop_answers")

    def _take(self, fault: str) -> bool:
        left: int = getattr(self._faults, fault)
        if left:
            self._faults = self._faults.model_copy(update={fault: left - 1})
        return left > 0

    def events(self, after: int = 0) -> tuple[Event, ...]:
        return self._store.events(after)

    # For the scheduler.

    @property
    def due_at(self) -> float:
        """When `advance` will next change something, infinite where nothing will by itself."""
        return self._due_at

    def advance(self, now: float) -> None:
        """Lets everything happen that is due."""
        if now < self._due_at:
            return
        for machine in self.open_machines():
            after = machines.advance(machine, now)
            if after is not machine:
                self._save(after)
        self._due_at = min(map(_next_change, self.open_machines()), default=math.inf)

    def owing_machines(self) -> tuple[Machine, ...]:
        """Those that owe an errand to the cluster."""
        return tuple(self._machines[each] for each in self._owing)

    def open_machines(self) -> tuple[Machine, ...]:
        """Those that live or still owe something to the cluster."""
        return tuple(self._machines[each] for each in self._open)

    def acknowledge(self, carried: Machine, done: Errand, pods: tuple[BoundPod, ...] = ()) -> None:
        """Notes that an errand was carried out for a machine as it was then. `pods` are what POWER_OFF found."""
        before = self._machines[carried.id]
        if done is Errand.ANNOUNCE and before.notice_id != carried.notice_id:
            return  # an earlier deadline came in the meantime, and is still to be announced
        after = machines.acknowledge(before, done)
        if after.removed:
            self._open.pop(after.id, None)
        self._save(after, self._done(after, done, pods))

    def _done(self, machine: Machine, done: Errand, pods: tuple[BoundPod, ...]) -> Event:
        now = self._clock()
        match done:
            case Errand.REGISTER:
                return self._event(machine, "registered", now)
            case Errand.ANNOUNCE:
                return self._event(machine, "announced", now)
            case Errand.POWER_OFF:
                ended_at = now if machine.ended_at is None else machine.ended_at
                lost_pods = [pod.to_json() for pod in pods]
                return self._event(machine, "terminated", ended_at, cause=machine.cause, lost_pods=lost_pods)
            case Errand.REMOVE:
                return self._event(machine, "removed", now)

    def _alive(self) -> tuple[Machine, ...]:
        return tuple(each for each in self.open_machines() if each.alive)

    def _used(self) -> Counter[OfferingKey]:
        return Counter(each.order.offering for each in self._alive())

    def _event(self, machine: Machine, event: str, at: float, **detail: Any) -> Event:
        about = {"name": machine.order.name, "offering": format_key(machine.order.offering)}
        return Event(at, event, machine.id, about | detail)

    def _save(self, machine: Machine, *events: Event) -> None:
        self._store.save(machine, *events)
        self._machines[machine.id] = machine
        self._due_at = min(self._due_at, _next_change(machine))
        if errand(machine) is not None:
            self._owing[machine.id] = None
        else:
            self._owing.pop(machine.id, None)
        self._tell(*events)
        self.changed()

    def _record(self, event: Event) -> None:
        self._store.record(event)
        self._tell(event)

    def _tell(self, *events: Event) -> None:
        for each in events:
            log.info("%s %s", each.event, each.detail.get("name", ""), extra={"event": each.to_json()})


def _next_change(machine: Machine) -> float:
    at = next_change_at(machine)
    return math.inf if at is None else at
