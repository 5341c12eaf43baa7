"""Every number that the scores depend on, in one place, as the official NAVSIM v2.2 code has them (SI units, radians)."""

from typing import Final

# Time. Proposals are 8 poses at 2 Hz, simulated and scored at 10 Hz over 4 s; the reference looks 5 s ahead.
STEP: Final = 0.1
STEPS: Final = 41
POSE_INTERVAL: Final = 0.5
REFERENCE_STEPS: Final = 51
# The original integrates with TimePoint(100000).time_s, which is one bit below 0.1.
INTEGRATION_STEP: Final = 100000 * 1e-6

# The car that is scored, whichever drove: nuPlan's Pacifica (see Vehicle.pacifica).
HALF_LENGTH: Final = 5.176 / 2
HALF_WIDTH: Final = 2.297 / 2
AXLE_TO_CENTER: Final = 4.049 - 5.176 / 2
WHEELBASE: Final = 3.089

# Tracker (finite-horizon LQR) and kinematic bicycle.
LONGITUDINAL_GAIN: Final = 10.0 / 11.0  # Q = 10, R = 1 over a horizon of 1 s
LATERAL_WEIGHTS: Final = (1.0, 10.0)  # lateral error, heading error; the steering rate weighs 1
TRACKING_HORIZON: Final = 10
STOPPING_SPEED: Final = 0.2
STOPPING_GAIN: Final = 0.5
ACCELERATION_PENALTY: Final = 1e-4  # what the original calls a jerk penalty
CURVATURE_PENALTY: Final = 1e-2
FIRST_CURVATURE_PENALTY: Final = 1e-10
ACCELERATION_LAG: Final = 0.2
STEERING_LAG: Final = 0.05
MAX_STEERING: Final = 1.0471975511965976  # pi / 3

# The map around the ego, and the grid that makes it quick to ask (the grid changes no result).
MAP_RADIUS: Final = 100.0
GRID_CELL: Final = 2.0
GRID_SIZE: Final = 100

# Repairing the route, and choosing the lane that the ego is on.
CANDIDATE_RADIUS: Final = 1.0
CANDIDATE_DISTANCE: Final = 3.0
CANDIDATE_HEADING: Final = 0.7853981633974483  # pi / 4
BACKWARD_DEPTH: Final = 15
FORWARD_DEPTH: Final = 30
ROUTE_WINDOW: Final = 30
LOOP_AREA: Final = 1.0
