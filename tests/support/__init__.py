"""Logs, planners, reference implementations and fake libraries shared by tests."""
