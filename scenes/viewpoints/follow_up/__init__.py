"""Follow-up viewpoints: starts of the second stage, around where the expert is after 4 s."""

from swerve.scenes.viewpoints.follow_up.bank import TrajectoryBank, bank_of
from swerve.scenes.viewpoints.follow_up.make import FollowUp, follow_ups
from swerve.scenes.viewpoints.follow_up.options import FollowUpOptions

__all__ = ["FollowUp", "FollowUpOptions", "TrajectoryBank", "bank_of", "follow_ups"]
