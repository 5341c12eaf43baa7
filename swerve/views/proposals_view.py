"""Proposals of a RAP planner in a benchmark's scene, by predicted and by exact score."""

from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.eval.planner_process.planner_limits import PlannerLimits
from swerve.planners.learning import LearnedPlanner
from swerve.planners.open_planner import open_planner
from swerve.planners.rap.proposals import proposals_in
from swerve.scenes import SwerveError
from swerve.views.benchmark_view import Plans


def proposal_plans(group: SceneGroup, name: str, spec: str) -> list[Plans]:
    """Return the proposals of a planner in the first scene of a scene group, once in each colouring.

    Args:
        group: the scene group.
        name: of it.
        spec: a planner of `swerve train`: FILE.safetensors.

    Raises:
        SwerveError: the planner makes no proposals, or the benchmark lacks its cameras.
    """
    planner = open_planner(spec, PlannerLimits()).planner
    if not isinstance(planner, LearnedPlanner):
        raise SwerveError(f"{spec}: makes no proposals: --planner takes a FILE.safetensors of swerve train")
    found, _ = proposals_in(group.scenes[group.group.now], group, name, planner)
    predicted, exact = found.predicted_score.tolist(), found.true_score.tolist()
    names = [f"proposal {number}" for number in range(len(exact))]
    facts = [
        {
            "predicted score": f"{told:.3f}",
            "exact score": f"{true:.3f}",
            "chosen": "yes" if number == found.chosen else "no",
        }
        for number, (told, true) in enumerate(zip(predicted, exact, strict=True))
    ]
    poses = list(found.poses)
    return [
        Plans("proposals by predicted score", names, poses, predicted, facts, 0.0),
        Plans("proposals by exact score", names, poses, exact, facts, 0.6),
    ]
