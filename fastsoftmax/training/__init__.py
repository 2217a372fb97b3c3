"""How a model is trained: the plan, the initial model, the targets, the learners, the loop over epochs, and calibration.

May import: `files`, `model`, `samplers` and what lies below.
"""
