"""Public test tools: virtual time, local servers, fault scripts, simulated stages and callers."""
