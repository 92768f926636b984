"""What is shown of queues, as values: shares, names, times, and why one job goes before another."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_shown import LINE, NOW, fair_queue, kept, place, queue_status
from spotkube.api.fairqueue import FairQueue
from spotkube.convert.places import Numbers, Places, WaitingJob, to_places
from spotkube.reports.queue_report import QueueReport, find, select, tenant_shares
from spotkube.reports.queue_values import queue_values
from spotkube.reports.queue_why import explain, sentences, why_first
from spotkube.reports.times import from_now, moment, rfc3339, span

DAY = 86400.0


def report_of(*places: dict[str, Any], queues: tuple[dict[str, Any], ...] = (fair_queue(),)) -> QueueReport:
    return QueueReport.of([FairQueue.from_dict(raw) for raw in queues], to_places(kept(*places)), NOW)


def numbers_of(**fields: Any) -> Numbers:
    numbers = to_places(kept(place(**fields))).jobs[0].numbers
    assert numbers is not None
    return numbers


def job(name: str, **fields: Any) -> WaitingJob:
    return to_places(kept(place(name, **fields))).jobs[0]


class TestTimes:
    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, "0 s"), (0.02, "0.02 s"), (45, "45 s"), (59.9, "1 min"), (720, "12 min"), (3599, "1 h"),
            (12600, "3.5 h"), (86000, "1 days"), (2.1 * DAY, "2.1 days"), (40 * DAY, "40 days"),
        ],
    )  # fmt: skip
    def test_lengths(self, seconds: float, words: str) -> None:
        assert span(seconds) == words

    def test_a_moment_has_its_day_unless_that_is_today(self) -> None:
        assert moment(NOW + 720, NOW) == "14:12"
        assert moment(NOW + DAY, NOW) == "2026-11-29 14:00"
        assert (from_now(NOW + 720, NOW), from_now(NOW - 5, NOW)) == ("in 12 min", "now")

    @given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
    def test_no_time_is_too_far(self, seconds: float) -> None:
        assert "inf" not in span(seconds)
        assert len(rfc3339(seconds) or "") == len("2026-11-28T14:00:00Z")


class TestShares:
    def test_of_what_is_spent_and_by_weight(self) -> None:
        bank, shop = tenant_shares(FairQueue.from_dict(fair_queue()))
        assert (bank.share, shop.share) == (0.25, pytest.approx(0.75))
        assert (bank.entitled, shop.entitled) == (pytest.approx(1 / 3), pytest.approx(2 / 3))

    def test_tenants_without_work_are_entitled_to_nothing(self) -> None:
        status = queue_status()
        status["tenants"][0] |= {"pending": 0, "admitted": 0}
        (shop,) = tenant_shares(FairQueue.from_dict(fair_queue(status=status)))
        assert (shop.tenant.name, shop.entitled) == ("shop", 1)

    def test_nothing_is_spent_yet(self) -> None:
        status = queue_status()
        for tenant in status["tenants"]:
            tenant["usdPerHour"] = 0
        assert [one.share for one in tenant_shares(FairQueue.from_dict(fair_queue(status=status)))] == [None, None]

    @given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=5))
    def test_parts_are_parts_of_one_whatever_the_weights(self, drawn: list[tuple[float, float]]) -> None:
        tenants = [
            {"name": f"t{n}", "weight": weight, "pending": 1, "admitted": 1, "usdPerHour": usd}
            for n, (weight, usd) in enumerate(drawn)
        ]
        shares = list(tenant_shares(FairQueue.from_dict(fair_queue(status={"tenants": tenants}))))
        assert sum(one.entitled for one in shares) == pytest.approx(1)
        assert sum(one.share or 0 for one in shares) == pytest.approx(1 if any(usd for _, usd in drawn) else 0)
        json.dumps(queue_values(report_of(queues=(fair_queue(status={"tenants": tenants}),))), allow_nan=False)


class TestSelecting:
    def test_a_namespace_keeps_its_share_of_the_whole_queue(self) -> None:
        found = select(report_of(*LINE), None, "shop")
        assert [(one.tenant.name, one.share) for one in found.shares] == [("shop", pytest.approx(0.75))]
        assert [one.key for one in found.places.jobs] == ["shop/report"]

    def test_a_queue_that_is_not_there(self) -> None:
        with pytest.raises(ValueError, match="there is no queue 'bach': did you mean batch"):
            select(report_of(*LINE), "bach", None)

    def test_a_queue_that_jobs_wait_for_and_nobody_made_can_be_asked_for(self) -> None:
        found = select(report_of(place(queue="nightly")), "nightly", None)
        assert (found.queues, len(found.places.jobs)) == ((), 1)

    @pytest.mark.parametrize(("name", "namespace"), [("report", None), ("shop/report", None), ("report", "shop")])
    def test_a_job_is_found_by_name(self, name: str, namespace: str | None) -> None:
        assert find(report_of(*LINE).places.jobs, name, namespace).key == "shop/report"

    @pytest.mark.parametrize(
        ("name", "namespace", "words"),
        [
            ("reprot", None, "no job 'reprot' waits in a queue: did you mean shop/report?"),
            ("report", "bank", "no job 'bank/report' waits in a queue: did you mean shop/report?"),
            ("xyz", None, "there are bank/close, bank/urgent, shop/report"),
        ],
    )
    def test_an_unknown_job_is_told_with_those_that_may_be_meant(
        self, name: str, namespace: str | None, words: str
    ) -> None:
        with pytest.raises(ValueError) as told:
            find(report_of(*LINE).places.jobs, name, namespace)
        assert words in str(told.value)

    def test_a_name_in_two_namespaces(self) -> None:
        with pytest.raises(ValueError, match="'a' may be x/a or y/a: say which"):
            find([job("x/a"), job("y/a")], "a", None)


class TestWhyFirst:
    """Each by what the order compares, in its order."""

    @pytest.mark.parametrize(
        ("other", "ours", "words"),
        [
            ({}, {"leftover": True, "priority": 9}, "the weight here is 0"),
            ({"priority": 7}, {"priority": 1}, "its priority 7 is above 1"),
            ({"virtualStart": None, "virtualDeadline": None}, {}, "its turn is overdue"),
            ({"virtualDeadline": None, "queueDeadline": 5.0}, {"virtualDeadline": None}, "5.000 against 250.000"),
            ({"virtualDeadline": 110.0}, {}, "its virtual deadline 110.000 is before 112.000"),
            ({}, {}, "the same, and it was submitted first"),
        ],
    )
    def test_of_another_tenant(self, other: dict[str, Any], ours: dict[str, Any], words: str) -> None:
        assert words in why_first(numbers_of(**other), numbers_of(**ours), same_tenant=False)

    def test_of_the_same_tenant(self) -> None:
        assert "shorter: size 8.000 against 24.000" in why_first(numbers_of(size=8.0), numbers_of(), same_tenant=True)
        assert "came early enough" in why_first(numbers_of(size=30.0), numbers_of(), same_tenant=True)


class TestExplaining:
    def test_one_whose_turn_is_overdue(self) -> None:
        late = place(virtualStart=None, virtualDeadline=None)
        report = report_of(late)
        told = sentences(explain(report, report.places.jobs[0]))
        assert "Its turn is overdue" in " ".join(told["Order"])
        assert "deadline 250.000 that it had then" in " ".join(told["Order"])

    def test_only_the_three_just_before_it_the_nearest_first(self) -> None:
        report = report_of(*(place(f"shop/j{n}", n) for n in range(1, 7)), place("bank/x", 1, queue="other"))
        why = explain(report, report.places.jobs[5])
        assert [one.key for one in why.before] == ["shop/j5", "shop/j4", "shop/j3"]

    def test_one_that_will_not_start_by_itself(self) -> None:
        huge = place(reason="TooLarge", message="never", estimatedStart=None, earliestStart=None, latestStart=None)
        report = report_of(huge)
        assert sentences(explain(report, report.places.jobs[0]))["Start"] == [
            "When it starts can't be told: nothing that is known leads to it."
        ]


class TestNotes:
    def test_an_operator_that_is_silent_is_asked_for(self) -> None:
        old = to_places(kept(*LINE, as_of=NOW - 1800))
        (note,) = QueueReport.of([], old, NOW).notes
        assert note == "the operator kept who waits 30 min ago: does it run?"
        assert QueueReport.of([], to_places(kept(as_of=NOW - 1800)), NOW).notes == ()  # nothing to keep since

    def test_those_far_back_are_counted(self) -> None:
        assert report_of(LINE[0]).notes == ("of queue batch 2 more wait, further back than what is kept",)
        assert report_of(*LINE).notes == ()

    @pytest.mark.parametrize("text", ["bm9uc2Vuc2U=", "???", ""])
    def test_what_is_kept_and_broken_is_told_with_a_remedy(self, text: str) -> None:
        broken = {"binaryData": {"places.json.xz": text}}
        with pytest.raises(ValueError, match="use the operator's version of spotkube"):
            to_places(broken)

    def test_another_version_is_not_guessed_at(self) -> None:
        with pytest.raises(ValueError, match="version 2, and not 1"):
            to_places(kept(version=2))
        assert to_places({"data": {}}) == to_places(None) == Places(to_places(None).origin)
