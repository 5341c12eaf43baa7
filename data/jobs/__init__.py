"""Jobs over logs: parallel, resumable, reproducible."""
