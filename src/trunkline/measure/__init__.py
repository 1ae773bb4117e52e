"""Honest numbers: intervals, comparisons, detection, plans and arrivals. Pure, on numpy arrays."""
