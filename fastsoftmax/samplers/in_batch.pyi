from fastsoftmax._types import Dense
from fastsoftmax.samplers.alias import AliasSampler

class InBatch(AliasSampler):
    depends_on_counts: bool
    draws_targets: bool
    uses_n_negatives: bool
    bytes_per_class: int
    n_batches: int
    def __init__(self, counts: Dense, least: int = 64) -> None: ...
