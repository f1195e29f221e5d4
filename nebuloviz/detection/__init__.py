"""Anomaly detection on arrays: no database, no settings, no web. Arrays in, scores and findings out (see docs/detection.md)."""
