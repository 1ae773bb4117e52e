"""The same faults for Trunkline and its peers, side by side, over real sockets."""
