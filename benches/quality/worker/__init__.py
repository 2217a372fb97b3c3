"""What runs in the environment of a system: imports nothing of ours but by `systems.fastsoftmax_`."""
