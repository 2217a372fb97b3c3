"""What runs in the environment of a system. Only `systems.fastsoftmax_` imports fastsoftmax."""
