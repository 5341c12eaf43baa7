"""Constants of the scores, of PDM-Closed and of reactive traffic, as in NAVSIM v2.2 (SI units, radians).

`AGENT_*` are those of reactive traffic, of which lane-following traffic uses the same; `IDM_*` those of PDM-Closed.
"""

from typing import Final

# numba compiles these constants into the kernels that import them.

# Time. Proposals are 8 poses at 2 Hz, simulated and scored at 10 Hz over 4 s; the reference looks 5 s ahead.
STEP: Final = 0.1
STEPS: Final = 41
POSE_INTERVAL: Final = 0.5
REFERENCE_STEPS: Final = 51
# The reference implementation integrates with TimePoint(100000).time_s, which is one bit below 0.1.
INTEGRATION_STEP: Final = 100000 * 1e-6

# The vehicle that is scored, independent of the recording vehicle: nuPlan's Pacifica (see Vehicle.pacifica).
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
ACCELERATION_PENALTY: Final = 1e-4  # called a jerk penalty in the reference implementation
CURVATURE_PENALTY: Final = 1e-2
FIRST_CURVATURE_PENALTY: Final = 1e-10
ACCELERATION_LAG: Final = 0.2
STEERING_LAG: Final = 0.05
MAX_STEERING: Final = 1.0471975511965976  # pi / 3

# The map around the ego, and the cell size of the lookup grid (which changes no result).
MAP_RADIUS: Final = 100.0
GRID_CELL: Final = 2.0

# Route correction, and the choice of the ego's lane.
CANDIDATE_RADIUS: Final = 1.0
CANDIDATE_DISTANCE: Final = 3.0
CANDIDATE_HEADING: Final = 0.7853981633974483  # pi / 4
BACKWARD_DEPTH: Final = 15
FORWARD_DEPTH: Final = 30
ROUTE_WINDOW: Final = 30
LOOP_AREA: Final = 1.0

# NC and TTC: at-fault classification.
STOPPED_SPEED: Final = 0.05
TTC_STOPPED_SPEED: Final = 0.005
AHEAD_ANGLE: Final = 0.5235987755982988  # 30 degrees
BEHIND_ANGLE: Final = 2.6179938779914944  # 150 degrees
# Times ahead at which TTC projects the ego and its corners, in steps of STEP = 0.1 s: the horizon is 0.9 s.
TTC_HORIZON_STEPS: Final = (0, 3, 6, 9)

# DDC: metres driven against the route within a window of DIRECTION_HORIZON + 1 steps.
DIRECTION_HORIZON: Final = 10
DIRECTION_COMPLIANT: Final = 2.0
DIRECTION_VIOLATED: Final = 6.0

# LK: metres from the centreline, for how many steps in a row.
LANE_KEEPING_DISTANCE: Final = 0.5
LANE_KEEPING_STEPS: Final = 20

# EP: metres of the best progress below which all proposals score 1.
PROGRESS_FLOOR: Final = 5.0

# HC: bounds on history and simulation together; EC: bounds on the differences between two scenes' plans.
MIN_LONGITUDINAL_ACCELERATION: Final = -4.05
MAX_LONGITUDINAL_ACCELERATION: Final = 2.40
MAX_LATERAL_ACCELERATION: Final = 4.89
MAX_JERK: Final = 8.37
MAX_LONGITUDINAL_JERK: Final = 4.13
MAX_YAW_ACCELERATION: Final = 1.93
MAX_YAW_RATE: Final = 0.95
COMFORT_DECIMALS: Final = 8
HISTORY_STEP_US: Final = 100_000
EXTENDED_ACCELERATION: Final = 0.7
EXTENDED_JERK: Final = 0.5
EXTENDED_YAW_RATE: Final = 0.1
EXTENDED_YAW_ACCELERATION: Final = 0.1
EXTENDED_MAX_INTERVAL: Final = 0.55

# Weights of the weighted metrics.
PROGRESS_WEIGHT: Final = 5.0
TTC_WEIGHT: Final = 5.0
LANE_KEEPING_WEIGHT: Final = 2.0
HISTORY_COMFORT_WEIGHT: Final = 2.0
EXTENDED_COMFORT_WEIGHT: Final = 2.0

# Frames of the log that are used: 0, 0.5, ..., 4 s from now.
FRAMES: Final = 9
STEPS_PER_FRAME: Final = 5
HISTORY_FRAMES: Final = 4

# PDM-Closed, the reference of ego progress: IDM along the centreline and at lateral offsets.
SPEED_SHARES: Final = (0.2, 0.4, 0.6, 0.8, 1.0)
DEFAULT_SPEED_LIMIT: Final = 15.0
LATERAL_OFFSETS: Final = (0.0, -1.0, 1.0)
IDM_GAP: Final = 1.0
IDM_HEADWAY: Final = 1.5
IDM_ACCELERATION: Final = 1.5
IDM_DECELERATION: Final = 3.0
IDM_EXPONENT: Final = 10.0
IDM_MIN_DISTANCE: Final = 1.0
FORECAST_STEPS: Final = 2  # steps of 0.1 s that share one forecast, and one choice of leader
FORECAST_RADIUS: Final = 100.0
FORECAST_LIMITS: Final = {"vehicle": 50, "pedestrian": 25, "bicycle": 10, "static": 50}

# Proximity weights of follow-up scenes.
PROXIMITY_VARIANCE: Final = 0.1
UNIFORM_BELOW: Final = 1e-8

# NAVSIM's reactive traffic: IDM agents.
AGENT_SPEED: Final = 10.0
AGENT_GAP: Final = 1.0
AGENT_HEADWAY: Final = 1.5
AGENT_ACCELERATION: Final = 1.0
AGENT_DECELERATION: Final = 2.0
AGENT_EXPONENT: Final = 4.0
AGENT_RADIUS: Final = 100.0
AGENT_SNAP: Final = 3.0
OUTLINE: Final = 1e-6  # metres: points this close to a lane's outline are outside the lane, as are points on it
AGENT_PARKED_SPEED: Final = 0.1
HEADING_PROBE: Final = 0.5

# Lane-following reactive traffic: vehicles that follow the lane graph.
LANE_HEADING: Final = 0.7853981633974483  # pi / 4
LANE_GRAPH_REACH: Final = 120.0
LANE_LOOKAHEAD: Final = 60.0
# Vehicles slower than this, m/s, wait until they have moved this far in the log, metres.
WAITING_SPEED: Final = 0.5
WAITING_MOVE: Final = 1.0

# PDMS of NAVSIM v1.1.
V1_COMFORT_WEIGHT: Final = 2.0
