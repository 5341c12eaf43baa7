"""Logs, planners, oracles and stand-ins of libraries that several tests share."""
