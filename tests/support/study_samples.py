"""Synthetic records of a study, with more structure than noise: good planners are good everywhere."""

import numpy as np

from swerve.eval.study.study_records import StudyRecord

FOLLOW_UPS = (9, 5, 12, 7)


REFERENCES = ("independent", "same")


def records(generator, planners=12, cases=4):
    """Generate records of scene groups with different numbers of follow-up pairs; in "same", skill counts for more."""
    skill = np.linspace(0.3, 0.95, planners)
    return [_record(generator, f"case-{case}", skill, FOLLOW_UPS[case % len(FOLLOW_UPS)]) for case in range(cases)]


def families_of(names):
    """Return the prefixes of names before the number."""
    return tuple(name.split("-")[0] for name in names)


def _record(generator, token, skill, count):
    planners = len(skill)
    starts = np.concatenate([generator.uniform(-8, 8, (count, 2, 2)), generator.normal(0, 0.2, (count, 2, 2))], axis=2)
    ends = np.concatenate(
        [generator.uniform(-8, 8, (planners, 2, 2)), generator.normal(0, 0.2, (planners, 2, 2))], axis=2
    )
    ends[::3, :, :2] = starts[0, :, :2] + generator.normal(0, 0.2, (len(ends[::3]), 2, 2))
    passed = generator.random((planners, 1 + count, 2, 8)) < (0.6 + 0.4 * skill)[:, None, None, None]
    metrics = passed.astype(float)
    metrics[..., 4] = np.clip(skill[:, None, None] + generator.normal(0, 0.1, metrics.shape[:3]), 0, 1)
    comfort = (generator.random((planners, 1 + count)) < 0.7).astype(float)
    closed = np.clip(skill[:, None] + generator.normal(0, [0.1, 0.02], (planners, 2)), 0, 1)
    return StudyRecord(
        token=token,
        log=f"log-{token}",
        planners=tuple(f"{('idm', 'pdm', 'fixed')[i % 3]}-{i}" for i in range(planners)),
        stage_one=metrics[:, 0],
        stage_one_raw=metrics[:, 0] * (generator.random((planners, 2, 8)) < 0.95),
        comfort_one=comfort[:, 0],
        stage_two=metrics[:, 1:],
        comfort_two=comfort[:, 1:],
        ends=ends,
        starts=starts,
        open_loop=np.abs(generator.normal(1.0, 0.3, (planners, 4))),
        references=REFERENCES,
        closed_loop=closed,
        closed_loop_metrics=np.repeat(closed[..., None], 10, axis=2),
        errors=("",) * planners,
    )
