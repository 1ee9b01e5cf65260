"""Work behind the page: it is done once, tells how far it is, stops when asked, and its errors reach who waits."""

import threading
import time
import weakref

import pytest

from dashboard.jobs import Job, Jobs
from inspector.recording import InspectorError

SOON = 20.0


def test_two_who_want_the_same_wait_for_one_job():
    jobs, go, begun = Jobs(), threading.Event(), []

    def work(job):
        begun.append(1)
        go.wait(SOON)

    first, second = jobs.start("text", "reads", work), jobs.start("text", "reads", work)

    assert first is second and not first.is_done
    go.set()
    assert first.wait(SOON)
    assert begun == [1]


def test_cancelled_job_stops_and_stays_stopped_until_it_is_asked_for_again():
    jobs, asked = Jobs(), threading.Event()

    def work(job):
        asked.wait(SOON)
        if job.is_cancelled():
            raise InspectorError("stopped")

    job = jobs.start("text", "reads", work)
    job.cancel()
    asked.set()
    assert job.wait(SOON)

    with pytest.raises(InspectorError, match="stopped"):
        job.check()
    assert jobs.start("text", "reads", work) is job
    jobs.forget("text")
    assert jobs.start("text", "reads", work) is not job


def test_other_work_goes_on_beside_it():
    jobs, go = Jobs(), threading.Event()
    slow = jobs.start("long", "reads", lambda job: go.wait(SOON))

    assert jobs.start("short", "reads", lambda job: None).wait(SOON)

    assert not slow.is_done
    go.set()


def test_bug_in_the_work_is_raised_where_somebody_waits():
    job = Jobs().start("text", "reads", lambda job: 1 / 0)
    assert job.wait(SOON) and job.has_failed

    with pytest.raises(ZeroDivisionError):
        job.check()
    assert not job.has_failed


def test_crashed_work_is_not_begun_again_before_somebody_was_told():
    jobs, begun = Jobs(), []

    def work(job):
        begun.append(1)
        raise RuntimeError("a bug")

    job = jobs.start("text", "reads", work)
    assert job.wait(SOON)
    assert jobs.start("text", "reads", work) is job and begun == [1]
    with pytest.raises(RuntimeError, match="a bug"):
        job.check()

    assert jobs.start("text", "reads", work).wait(SOON)
    assert begun == [1, 1]


class Recording:
    """What a job works with."""


@pytest.mark.parametrize("goes_well", [True, False])
def test_what_was_worked_with_is_not_kept_by_a_job_that_has_ended(goes_well):
    jobs, recording = Jobs(), Recording()
    kept = weakref.ref(recording)

    def work(job, recording=recording):
        if not goes_well:
            raise InspectorError(f"too little in {len(vars(recording))}")

    job = jobs.start("text", "reads", work)
    assert job.wait(SOON)
    del recording, work

    assert kept() is None
    jobs.start("other", "reads", lambda job: None).wait(SOON)
    assert (jobs.under("text") is None) == goes_well


def test_everybody_who_waits_for_work_is_told_once_it_ended_well():
    told, may_end = [], threading.Event()
    job = Job("waiting", lambda job: may_end.wait(10))
    job.then(lambda: told.append("first"))
    job.then(lambda: told.append("second"))
    assert told == []
    may_end.set()
    for _ in range(1000):
        if len(told) == 2:
            break
        time.sleep(0.01)
    assert told == ["first", "second"]
    job.then(lambda: told.append("late"))
    assert told[-1] == "late"


def test_nobody_is_told_of_work_that_failed():
    told = []

    def fail(job):
        raise InspectorError("no")

    job = Job("failing", fail)
    job.wait(10)
    job.then(lambda: told.append("too soon"))
    assert told == []
