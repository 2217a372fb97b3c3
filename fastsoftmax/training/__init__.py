"""How a model is trained: what is planned, where it begins, its targets, the loop over epochs, and what follows.

May import: `files`, `model`, `samplers` and what lies below.
"""
