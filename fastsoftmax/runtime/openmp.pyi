# src/stubs.py wrote this file from src/runtime/openmp.pyx

from typing import Any

ENABLED: Any
VERSION: Any

def max_threads() -> Any: ...
def thread_limit() -> Any: ...
def startable_threads(n: int, stack_bytes: int) -> Any: ...
