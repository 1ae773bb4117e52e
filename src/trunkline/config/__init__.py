"""Configuration: YAML in, frozen and checked models out; unknown keys are refused.

Import the module that has what you need: `load`, `models`.
"""
