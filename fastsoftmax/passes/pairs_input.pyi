from fastsoftmax._types import Dense, Sparse

class PreparedWeights:
    def __init__(self, W: Sparse, bias: Dense | None = None, *, n_threads: int | None = None) -> None: ...
