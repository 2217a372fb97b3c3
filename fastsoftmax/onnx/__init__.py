"""Fitted models as ONNX, for onnxruntime and whatever else runs it: docs/export.md.

`converters` says in operators of ONNX what a model computes, and registers that with skl2onnx, which puts pipelines together;
`export` has the function that users call in the place of skl2onnx's own.

May import: `estimators` and what lies below, and skl2onnx.
"""

try:
    import skl2onnx  # noqa: F401
except ImportError as error:
    raise ImportError('fastsoftmax.onnx needs skl2onnx: pip install "fastsoftmax[onnx]"') from error

from fastsoftmax.onnx.converters import register
from fastsoftmax.onnx.export import to_onnx

__all__ = ["register", "to_onnx"]


def __dir__():
    return sorted(__all__)  # what tab completion shows
