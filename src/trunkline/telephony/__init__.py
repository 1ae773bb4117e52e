"""Carriers: how a phone leg reaches us, and the caller's side of the same protocols."""
