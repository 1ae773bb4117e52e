"""Synthesisers, one codec a wire protocol."""
