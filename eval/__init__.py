"""Simulate, score and weigh what a planner would have done."""
