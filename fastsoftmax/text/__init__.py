"""Text and data files as arrays: readers, a corpus, n-gram features and Kneser-Ney weights.

May import: `validation`, `runtime`.
"""
