"""One cycle: walks through the jobs that wait in order, and decides.

    for each job in turn:
        can it ever run? -> close its line, and say so
        does its queue's day or month still pay for it? -> else leave out those that cost as much
        does it borrow? -> its queue waits until the others had what is their own
        is there room in its queue, its cohort and the cluster?
            yes -> does it move a reservation? -> leave out those as long, else admit it
            no  -> does preemption pay? -> admit it, end the victims
                   else reserve, and close its line

A line is all jobs of a queue that find room alike, so that a cycle takes the time of what it admits and of the lines,
and not of all that wait. Who was admitted is put to whoever plans capacity; whom he refuses, his line is closed, and
the walk is done again.
"""

from spotkube.queueing import reasons
from spotkube.queueing.capacity import Refusal
from spotkube.queueing.decisions import Decisions
from spotkube.queueing.gangs import given_back
from spotkube.queueing.queues import Stop
from spotkube.queueing.scene import Scene
from spotkube.queueing.walk import Walk


def decide(scene: Scene) -> Decisions:
    """What is to be done now. The same scene gives the same decisions; nothing in it is changed."""
    ended = given_back(scene.queues, scene.running.values(), scene.now_seconds, scene.rules)
    refused: dict[str, Refusal] = {}
    while True:
        walk = Walk(scene, refused, frozenset(one.uid for one in ended))
        walk.go()
        more = scene.capacity.refusals(walk.placed)
        if not more:
            break
        refused.update(more)
    return Decisions(
        scene.now_seconds,
        tuple(walk.admitted),
        ended + tuple(walk.ended),
        tuple(walk.reservations),
        walk.lines,
        {name: reasons.held(name) if queue.stop is not Stop.NONE else None for name, queue in scene.queues.items()},
    )
