from typing import Any

from fastsoftmax._types import Path

def load(path: Path, *, memory_map: bool = False, comm: Any = None) -> Any: ...  # of the class that the file is of
