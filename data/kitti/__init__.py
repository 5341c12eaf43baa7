"""KITTI odometry sequences: rectified stereo pairs and poses."""

from swerve.data.kitti.source import KittiSource

__all__ = ["KittiSource"]
