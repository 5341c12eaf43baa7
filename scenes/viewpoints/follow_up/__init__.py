"""Follow-up viewpoints: start points of the second stage around the human's pose after 4 s."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.scenes.viewpoints.follow_up.follow_up_options import FollowUpOptions
    from swerve.scenes.viewpoints.follow_up.follow_ups import FollowUp, follow_ups
    from swerve.scenes.viewpoints.follow_up.trajectory_bank import TrajectoryBank, build_trajectory_bank

__all__ = ["FollowUp", "FollowUpOptions", "TrajectoryBank", "build_trajectory_bank", "follow_ups"]

make_lazy(__name__)
