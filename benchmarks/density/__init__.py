"""How many calls one core carries: Trunkline and its peers under the same callers."""
