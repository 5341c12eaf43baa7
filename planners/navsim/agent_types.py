"""Names for NAVSIM's objects, whose classes are those of the installed package, or ours in their place."""

from typing import Any

Agent = Any
AgentInput = Any
AgentCamera = Any
AgentLidar = Any
Cameras = Any
EgoStatus = Any
SensorConfig = Any
AgentScene = Any
AgentFrame = Any
Annotations = Any
AgentTrajectory = Any
# A class or function that makes an agent.
AgentClass = Any
