"""Writing of benchmarks in the formats of other programs."""
