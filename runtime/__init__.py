"""Composition: settings, wiring, logs, checks. The only code that reads settings or picks an engine."""
