"""The lock that tells whether a worker lives."""

import os
import signal
import subprocess
import sys
import time

import pytest

from workbench.cards.errors import NotAllowed
from workbench.journal.lock import RunLock, holder, is_held


def test_a_lock_is_free_before_held_by_one_and_free_after(rundir):
    assert not is_held(rundir.lock)
    assert not rundir.path.exists()
    with RunLock.acquire(rundir.lock):
        assert is_held(rundir.lock)
        assert holder(rundir.lock) == os.getpid()
        with pytest.raises(NotAllowed, match=f"process {os.getpid()}"):
            RunLock.acquire(rundir.lock)
    assert not is_held(rundir.lock)
    assert holder(rundir.lock) is None
    RunLock.acquire(rundir.lock).release()


def test_a_killed_worker_frees_its_lock_though_its_forked_child_lives_on(rundir):
    program = """
import os, sys, time
from pathlib import Path
from workbench.journal.lock import RunLock
lock = RunLock.acquire(Path(sys.argv[1]))
child = os.fork()
if not child:
    time.sleep(600)
    os._exit(0)
print(child, flush=True)
time.sleep(600)
"""
    arguments = [sys.executable, "-c", program, str(rundir.lock)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as worker:
        child = int(worker.stdout.readline())
        try:
            assert is_held(rundir.lock)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            os.kill(child, 0)  # it lives
            end = time.monotonic() + 20
            while is_held(rundir.lock) and time.monotonic() < end:  # the child may not have got a turn since the fork
                time.sleep(0.01)
            assert not is_held(rundir.lock)
        finally:
            os.kill(child, signal.SIGKILL)
            worker.kill()


def test_a_forked_child_that_ends_leaves_the_parents_lock_alone(rundir):
    lock = RunLock.acquire(rundir.lock)
    child = os.fork()
    if not child:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert is_held(rundir.lock)
    lock.release()
