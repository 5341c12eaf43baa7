"""Benchmark of contexts and scores of real scenes, one core, warm, against the official code and the targets."""

import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from benchmarks.measure import real_data, report, timed
from swerve.data.sources.neutral.neutral_source import load_scenes
from swerve.eval import build_context, score, simulate, simulate_navsim_idm
from swerve.eval.scoring.trajectories import references_of

LOGS = ("av2_adcf7d18", "av2_3b3570b4")
SCENES_PER_LOG = 4
BATCH = 256
# NAVSIM has no such traffic, and its evaluations leave out its paths.
LANE_FOLLOWING = "context, with paths of lane-following traffic"
# Official code, as measured on another day on this kind of machine (reference/navsim.md, g.6).
ORIGINAL = {
    "context": 820.0,
    "1 trajectory, human filter": 160.0,
    "256 proposals, each": 10.4,
    "reactive rollout": 1660.0,
}
TARGETS = {
    "context": 40.0,
    LANE_FOLLOWING: 80.0,
    "1 trajectory, human filter": 3.0,
    "256 proposals, each": 0.1,
    "reactive rollout": 20.0,
}


def run():
    """Print and write the table; skipped without real data."""
    folder = real_data()
    if folder is None:
        return
    scenes = [
        scene
        for log in LOGS
        for scene in list(load_scenes(folder.parent / "golden" / "logs" / f"{log}.json.gz").values())[::5][
            :SCENES_PER_LOG
        ]
    ]
    contexts = [build_context(item.scene, item.token) for item in scenes]
    plans = {context.token: vocabulary(context) for context in contexts}
    steps = {
        "context": lambda item, context: partial(build_context, item.scene, item.token, lane_following=False),
        LANE_FOLLOWING: lambda item, context: partial(build_context, item.scene, item.token),
        "1 trajectory, human filter": lambda item, context: partial(score, context, plans[context.token][:1]),
        "256 proposals, each": lambda item, context: partial(score, context, plans[context.token]),
        "reactive rollout": lambda item, context: partial(simulate_navsim_idm, context, driven(context)),
    }
    rows = []
    for name, make in steps.items():
        share = BATCH if name.startswith("256") else 1
        timings = [timed(make(item, context)) for item, context in zip(scenes, contexts, strict=True)]
        cpu = np.array([timing.cpu_ms for timing in timings]) / share
        rows.append(
            {
                "step": name,
                "cpu ms": float(np.median(cpu)),
                "worst scene": float(cpu.max()),
                "target": TARGETS[name],
                "official": ORIGINAL.get(name, ""),
                "ratio": float(ORIGINAL[name] / np.median(cpu)) if name in ORIGINAL else "",
            }
        )
    notes = [verdict(row) for row in rows]
    notes += [
        f"{len(scenes)} scenes of {len(LOGS)} Argoverse 2 logs.",
        threads(contexts, plans),
        memory(contexts, plans),
    ]
    report("score", "Scores: milliseconds on one core, warm", rows, notes)


def verdict(row):
    return f"{row['step']}: target of {row['target']} ms {'met' if row['cpu ms'] <= row['target'] else 'MISSED'}."


def vocabulary(context):
    """Return 256 trajectories around the human's."""
    noise = np.random.default_rng(0).normal(size=(BATCH, 1, 3)) * [2.0, 1.0, 0.1]
    return context.human + noise * np.linspace(0.1, 1, 8)[:, None]


def driven(context):
    """Return the human's simulated states."""
    return simulate(context.ego, references_of(context.human[None], context.ego[:3], context.start_us))[0]


def threads(contexts, plans):
    """Measure the wall time of the same work with one and with two threads."""

    def work(context):
        return score(context, plans[context.token])

    seconds = []
    for count in (1, 2):
        with ThreadPoolExecutor(count) as pool:
            start = time.perf_counter()
            list(pool.map(work, contexts * 4))
            seconds.append(time.perf_counter() - start)
    return f"Two threads are {seconds[0] / seconds[1]:.2f} times as fast as one (wall clock; other load disturbs it)."


def memory(contexts, plans):
    """Measure the memory added by a large vocabulary."""
    before = peak()
    large = np.tile(plans[contexts[0].token], (64, 1, 1))
    score(contexts[0], large)
    return f"Memory: {before:.0f} MiB at most until here, {peak():.0f} MiB with {len(large)} proposals at once."


def peak():
    """Return the process's peak memory in MiB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)
