"""Trunkline runs phone calls with an AI voice agent that survive their providers."""

__version__ = "0.1.0"
