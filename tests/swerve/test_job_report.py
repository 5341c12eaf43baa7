"""What a job says at its end."""

from swerve.job_report import timing_line


def timing(count, **stages):
    return {"samples": count, "seconds": 1.0, "samples_per_second": count, "worker_seconds": stages}


def test_nothing_is_called_finished_after_failures():
    assert timing_line(timing(0), "samples") == "Everything was finished before."
    assert timing_line(timing(0), "samples", failures=1) == "No samples were made."
    assert timing_line(timing(0, loading=1.0), "samples") == "No samples were made."


def test_compiling_is_a_stage_of_its_own():
    assert "compiling 75 %" in timing_line(timing(4, drawing=1.0, compiling=3.0), "samples")
