"""Speech through the plugins of LiveKit Agents: the long tail of vendors, in this process."""
