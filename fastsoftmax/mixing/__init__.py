"""Mixtures of models whose probabilities each add up to 1, and so do those of the mixture, without a normaliser.

It knows nothing of what the models are or what their classes stand for. May import: `validation`, `runtime`.
"""
