"""Models and states in files: tensors, labels and nested states. This package knows no estimator by name.

May import: `model` and what lies below.
"""
