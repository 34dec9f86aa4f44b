"""The engine and its peers at the same work, side by side: ``python -m benchmarks``."""
