"""Engines that run from the package alone: no key, no download."""
