"""Gateways side by side: what each adds between a client and a model, in one run."""
