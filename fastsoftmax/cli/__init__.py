"""The command `fastsoftmax`, and its demo. May import: all that lies below."""
