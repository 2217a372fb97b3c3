from typing import Any

from fastsoftmax._types import Path
from fastsoftmax.estimators.classifier import SoftmaxClassifier

def load(path: Path, *, memory_map: bool = False, comm: Any = None) -> SoftmaxClassifier: ...
