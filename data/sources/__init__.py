"""Sources: readers of driving logs, one package per data set, and shared helpers."""
