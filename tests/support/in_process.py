"""Jobs run in the test's own process, where monkeypatches act: the parts of the schedule, one after the other."""

import pickle


def run_jobs_in_process(monkeypatch):
    """Replace the pool of worker processes; the work is pickled all the same, as it would be for them."""
    from swerve.data.jobs import runner

    monkeypatch.setattr(runner, "run_tasks", _run_tasks)


def run_jobs_in_workers(monkeypatch):
    """Undo this for tests of worker processes."""
    from swerve.data.jobs import pool, runner

    monkeypatch.setattr(runner, "run_tasks", pool.run_tasks)


def _run_tasks(work, folder, schedule, workers, listener):
    from swerve.data.jobs.pool import JobBook, Worker
    from swerve.data.jobs.worker import TaskRunner

    book, worker = JobBook(schedule, listener), Worker()
    task_runner = TaskRunner(pickle.loads(pickle.dumps(work)), folder, _Messages(book, worker))
    while (task := schedule.next(worker.held)) is not None:
        worker.task, worker.held = task, task.log
        task_runner.run(task)
    return book.failures


class _Messages:
    """Sender whose messages are handled at once."""

    def __init__(self, book, worker):
        self._book, self._worker = book, worker

    def send(self, message):
        self._book.handle(self._worker, 0, message)

    def try_send(self, message):
        self.send(message)
        return True
