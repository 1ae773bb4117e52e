"""`trunkline bench`: language models under an open loop of calls, measured."""
