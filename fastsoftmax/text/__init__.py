"""Text and data files as arrays: readers of data files, a corpus, n-gram features and Kneser-Ney weights.

`features` and `datasets` are the public modules. May import: `validation`, `runtime`.
"""
