"""Construction of benchmarks from logs."""
