from scipy.sparse import csr_matrix

from fastsoftmax._types import Dense

def context_features(ids: Dense, starts: Dense, n_classes: int, context: int = 6) -> csr_matrix: ...
