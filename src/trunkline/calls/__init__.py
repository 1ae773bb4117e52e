"""The live shell: tasks around the core."""
