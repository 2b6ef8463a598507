"""Sharing out work: results, errors, and what happens when processes die."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reseen import parallel
from reseen.errors import ReseenError
from reseen.parallel import TASKS_PER_PROCESS, ahead, report, unordered
from reseen.progress import progress


def halved(number: int) -> int:
    if number % 2:
        raise ReseenError(f"{number} is odd")
    return number // 2


class Deadly:
    """Kills the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (9,)


@pytest.mark.parametrize("one_core", [False, True])
def test_what_is_made_ahead_is_the_same_and_its_error_comes_in_its_place(monkeypatch, one_core):
    monkeypatch.setattr(parallel, "_one_core", one_core)
    made, threads = [], set[str]()

    def items():
        for number in range(9):
            threads.add(threading.current_thread().name)
            made.append(number)
            yield number
        raise ReseenError("there is no tenth")

    taken = ahead(items(), 3)
    for number in range(9):
        assert next(taken) == number
        assert len(made) <= number + 1 + (0 if one_core else 3)
    with pytest.raises(ReseenError, match="no tenth"):
        next(taken)
    assert (threads == {threading.current_thread().name}) == one_core


def test_nothing_is_made_ahead_for_somebody_who_has_left(monkeypatch):
    monkeypatch.setattr(parallel, "_one_core", False)
    made = []
    begun = threading.active_count()
    numbers = ahead((made.append(number) or number for number in range(100)), 4)
    assert next(numbers) == 0
    numbers.close()
    assert len(made) <= 5
    assert threading.active_count() == begun


def test_every_task_is_done_once():
    assert sorted(unordered(halved, ((2 * number,) for number in range(50)), 2)) == [*range(50)]


def test_tasks_are_taken_only_when_they_are_needed():
    """A million of them must not wait in memory."""
    taken = []
    results = unordered(halved, ((taken.append(number) or 0,) for number in range(100)), 1)
    next(results)
    results.close()
    assert len(taken) == TASKS_PER_PROCESS


def test_an_error_in_a_process_comes_through():
    with pytest.raises(ReseenError, match="7 is odd"):
        list(unordered(halved, [(2,), (7,)], 1))


def test_a_killed_process_is_told():
    with pytest.raises(ReseenError, match="a working process died"):
        list(unordered(halved, [(Deadly(),)], 1))


def fragile(folder: Path, number: int) -> int:
    """The first task dies once, the second one always."""
    if number < 2 and (number == 1 or not (folder / "0").exists()):
        (folder / f"{number}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_task_whose_process_dies_is_begun_anew_and_the_others_are_done(tmp_path, quick_workers):
    died = []
    tasks = [(tmp_path, number) for number in range(6)]
    assert sorted(unordered(fragile, tasks, 2, died=died.append)) == [0, 2, 3, 4, 5]
    assert died == [(tmp_path, 1)]


SCRIPT = """
from pathlib import Path
from reseen.parallel import unordered

print("run")
print(sorted(unordered(Path, [("a",), ("b",)], 2)))
"""


def test_a_script_needs_no_guard(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"], check=True, capture_output=True, text=True
    )
    assert done.stdout == "run\n[PosixPath('a'), PosixPath('b')]\n"


ENDLESS = """
import sys, time
from reseen.parallel import TASKS_PER_PROCESS, unordered, report

def wait_for_ever():
    print("begun", flush=True)
    time.sleep(1e6)

if __name__ == "__main__":
    list(unordered(wait_for_ever, [()] * 2, 2))
"""


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    """They hold the pipe open; that it closes shows that they are gone."""
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert [parent.stdout.readline() for _ in range(2)] == ["begun\n"] * 2
    parent.kill()
    parent.communicate(timeout=60)


def interruptible(folder: Path, number: int) -> None:
    """The first task is done at once, others when they are interrupted."""
    if number == 0:
        return
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    (folder / f"{number}").touch()
    report(number)
    interrupted.wait()
    raise KeyboardInterrupt


def test_work_that_is_given_up_is_interrupted_and_no_further_task_is_begun(tmp_path):
    begun = threading.Event()
    tasks = ((tmp_path, number) for number in range(10))
    results = unordered(interruptible, tasks, 1, lambda _: begun.set())
    next(results)
    begun.wait()
    results.close()  # without an interrupt it would wait for ever
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def counted(number: int) -> int:
    with progress("a part", number, "units") as advance:
        for _ in range(number):
            advance(1)
            report(1)
    return number


def test_processes_report_how_far_they_are_and_leave_showing_it_to_the_one_that_asked(capfd):
    heard = []
    assert sorted(unordered(counted, [(3,), (4,)], 2, heard.append)) == [3, 4]
    assert heard == [1] * 7
    assert capfd.readouterr().err == ""
