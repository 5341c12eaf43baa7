"""Speed and memory: `python -m benchmarks.run [NAME...]`."""
