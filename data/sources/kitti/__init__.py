"""KITTI odometry sequences: rectified stereo pairs and poses."""

from swerve.data.sources.kitti.kitti_source import kitti_source

__all__ = ["kitti_source"]
