"""Models and states in files: tensors, labels, nested states. It knows no estimator by name.

May import: `model` and what lies below.
"""
