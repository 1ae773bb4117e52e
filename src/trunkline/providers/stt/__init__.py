"""Recognisers, one codec a wire protocol."""
