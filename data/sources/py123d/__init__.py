"""Logs and maps of 123D, which py123d writes as Arrow: nuPlan, Argoverse 2, Waymo, PandaSet, KITTI-360 and more."""
