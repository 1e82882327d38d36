"""Benchmarks: each takes its peer and ours in one run and prints one JSON document (`python -m bench.NAME --json`)."""
