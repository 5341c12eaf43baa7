"""Writing of logs and maps in the formats of NAVSIM, OpenScene and nuPlan."""
