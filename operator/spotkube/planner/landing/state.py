"""One cluster while pods land: what is free, who stands where, and who is nominated onto which node."""

import numpy as np

from spotkube.model.pods import HostPort
from spotkube.planner.landing.site import Kind, Site
from spotkube.planner.problem import BoolArray, IntArray


class State:
    """N places. Of T terms it counts pods by domain, pods nominated by place, and those who own a term likewise.

    Attributes:
        joined: [N] nodes that are registered: spreads count their domains.
        ready: [N] nodes that take the pods that are planned onto them; `open`: any pods.
        where: for each guest the place that it is bound to, -1 while it waits.
        used: [N, R] what is taken; `assumed` what scores count besides.
        nominated: for each guest the place that kube-scheduler keeps room for it on, -1 for none.
    """

    def __init__(self, site: Site) -> None:
        places, terms, levels = len(site.places), len(site.terms), len(site.levels)
        self.site = site
        self.joined = np.array([place.there or place.closed for place in site.places], dtype=np.bool_)
        self.open = np.array([place.there for place in site.places], dtype=np.bool_)
        self.ready = self.open.copy()
        self.where = [-1] * len(site.guests)
        self.nominated = [-1] * len(site.guests)
        self.used = site.used.copy()
        self.assumed = np.zeros_like(site.used)
        self.counts = [np.zeros(places + 1, dtype=np.int64) for _ in range(terms)]
        self.owners = [np.zeros(places + 1, dtype=np.int64) for _ in range(terms)]
        self.ports: list[list[HostPort]] = [[] for _ in site.places]
        self.mates: dict[int, IntArray] = {}
        self._reserved = np.zeros((levels, places, len(site.resources)), dtype=np.int64)
        self._coming = np.zeros((levels, terms, places), dtype=np.int64)
        self._coming_owners = np.zeros((levels, terms, places), dtype=np.int64)
        self._domains: dict[tuple[int, bool], IntArray] = {}
        self._level = {priority: level for level, priority in enumerate(site.levels)}
        for place, kinds in enumerate(site.residents):
            for kind in kinds:
                self._stand(site.kinds[kind], place)

    # What happens.

    def join(self, place: int) -> None:
        self.joined[place] = True
        self._domains.clear()

    def get_ready(self, place: int) -> None:
        self.ready[place] = True

    def open_up(self, place: int) -> None:
        self.ready[place] = self.open[place] = True
        self._domains.clear()

    def bind(self, guest: int, place: int) -> None:
        self.clear(guest)
        kind = self.kind_of(guest)
        self.used[place] += kind.demand
        self._stand(kind, place)
        self.where[guest] = place

    def nominate(self, guest: int, place: int) -> None:
        self.clear(guest)
        if place >= 0:
            self.nominated[guest] = place
            self._nominate(self.kind_of(guest), place, 1)

    def clear(self, guest: int) -> None:
        """Takes the guest's nomination away, if it has one."""
        place = self.nominated[guest]
        if place >= 0:
            self.nominated[guest] = -1
            self._nominate(self.kind_of(guest), place, -1)

    def kind_of(self, guest: int) -> Kind:
        return self.site.kinds[self.site.kind[guest]]

    def _stand(self, kind: Kind, place: int) -> None:
        self.assumed[place] += kind.assumed
        for term in kind.counted:
            if self.site.terms_on[term][place]:
                self.counts[term][self._domain(term, place)] += 1
        for term in kind.owned:
            self.owners[term][self._domain(term, place)] += 1
        self.ports[place].extend(kind.pod.shape.host_ports)
        if kind.mates not in self.mates:
            self.mates[kind.mates] = np.zeros(len(self.site.places), dtype=np.int64)
        self.mates[kind.mates][place] += 1

    def _domain(self, term: int, place: int) -> int:
        """Places without the label share the last domain, which nobody looks at."""
        return int(self.site.codes[self.site.terms[term].key][place])

    def _nominate(self, kind: Kind, place: int, sign: int) -> None:
        level = self._level[kind.priority]
        self._reserved[level, place] += sign * kind.demand
        for term in kind.counted:
            if self.site.terms_on[term][place]:
                self._coming[level, term, place] += sign
        for term in kind.owned:
            self._coming_owners[level, term, place] += sign

    def domains(self, term: int, *, open_only: bool) -> IntArray:
        """The domains that a spread counts."""
        key = term, open_only
        if key not in self._domains:
            codes = self.site.codes[self.site.terms[term].key]
            counting = self.site.terms_on[term] & (self.open if open_only else self.joined) & (codes >= 0)
            self._domains[key] = np.unique(codes[counting])
        return self._domains[key]

    # What a pod looks at. `rows` are the places asked about; of nominated pods those of no lower priority count.

    def free(self, kind: Kind, rows: IntArray) -> IntArray:
        """[rows, R] what is left, room kept for nominated pods apart."""
        kept = self._reserved[self._from(kind) :, rows].sum(axis=0)
        return self.site.room[rows] - self.used[rows] - kept  # type: ignore[no-any-return]

    def coming(self, kind: Kind, term: int, rows: IntArray) -> IntArray:
        """[rows] pods of the term nominated there."""
        return self._coming[self._from(kind) :, term, rows].sum(axis=0)  # type: ignore[no-any-return]

    def coming_owners(self, kind: Kind, term: int, rows: IntArray) -> IntArray:
        return self._coming_owners[self._from(kind) :, term, rows].sum(axis=0)  # type: ignore[no-any-return]

    def _from(self, kind: Kind) -> int:
        return self._level[kind.priority]

    def ports_free(self, kind: Kind, rows: IntArray) -> BoolArray:
        wanted = kind.pod.shape.host_ports
        taken = [any(port.clashes(other) for port in wanted for other in self.ports[place]) for place in rows.tolist()]
        return ~np.array(taken, dtype=np.bool_)
