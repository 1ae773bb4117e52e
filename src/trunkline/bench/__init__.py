"""`trunkline bench`: endpoints, routes and agents under an open loop of calls, measured."""
