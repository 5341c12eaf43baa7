"""Scoring of one trajectory for each of many scenes."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.aggregate import ScoredScenes
from swerve.eval.scoring.reasons import Reason, reasons
from swerve.eval.scoring.score import score
from swerve.eval.scoring.trajectories import planned_end
from swerve.eval.traffic.policy import Policy
from swerve.scenes import SwerveError


def score_scenes(
    contexts: Sequence[Context], trajectories: Mapping[str, Float[np.ndarray, "k 3"]], policy: Policy
) -> ScoredScenes:
    """Score each scene's trajectory: `explain_scenes` without the reasons."""
    return explain_scenes(contexts, trajectories, policy)[0]


def explain_scenes(
    contexts: Sequence[Context], trajectories: Mapping[str, Float[np.ndarray, "k 3"]], policy: Policy
) -> tuple[ScoredScenes, dict[str, tuple[Reason, ...]]]:
    """Score each scene's trajectory; return the scores, and by token the reasons of sub-scores below 1.

    Args:
        contexts: the scenes.
        trajectories: poses relative to now, every 0.5 s, by token.
        policy: traffic policy of the agents.

    Raises:
        SwerveError: scenes without a trajectory; the message lists them.
    """
    missing = [context.token for context in contexts if context.token not in trajectories]
    if missing:
        raise SwerveError(f"{len(missing)} scenes have no trajectory: {', '.join(missing[:10])}")
    poses = [trajectories[context.token] for context in contexts]
    scored = [score(context, pose[None], policy=policy) for context, pose in zip(contexts, poses, strict=True)]
    ends = [planned_end(pose, context.ego[:3]) for context, pose in zip(contexts, poses, strict=True)]
    scenes = ScoredScenes(
        tokens=tuple(context.token for context in contexts),
        logs=tuple(context.log for context in contexts),
        times_us=np.array([context.start_us for context in contexts], np.int64),
        metrics=np.concatenate([one.metrics for one in scored]),
        states=np.concatenate([one.states for one in scored]),
        starts=np.array([context.ego[:2] for context in contexts]),
        ends=np.array(ends),
    )
    return scenes, {token: reasons(one, 0) for token, one in zip(scenes.tokens, scored, strict=True)}
