"""Many calls at once in simulated time, through the machines of the core: see docs/simulate.md.

`worlds` says what is simulated, `policies` who decides, `run` does it and `figures` counts.
"""
