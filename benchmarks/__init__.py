"""Measurements of the media path; `python -m benchmarks --help`. They assert no times."""
