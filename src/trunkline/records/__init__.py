"""The journal of a call and its projections."""
