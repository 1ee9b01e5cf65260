"""Work behind the page: it is done once, tells how far it is, stops when asked, and its errors reach who waits."""

import threading

import pytest

from dashboard.jobs import Jobs
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
    assert job.wait(SOON)

    with pytest.raises(ZeroDivisionError):
        job.check()
    assert not job.has_failed
