"""The same for `fastsoftmax.onnx`. Where skl2onnx is not installed, its types are not checked."""

import numpy as np

from fastsoftmax import SoftmaxRegression
from fastsoftmax.onnx import register, to_onnx


def main() -> None:
    X, y = np.eye(6, dtype=np.float32), np.arange(6) % 3
    model = SoftmaxRegression().fit(X, y)
    register()
    proto = to_onnx(model, X, output="log_proba", topk=2, options={SoftmaxRegression: {"nocl": True}})
    print(len(proto.SerializeToString()), len(to_onnx(model).graph.output))


def mistakes() -> None:
    """Each line is one: that mypy finds it is what the comments ask for. Nothing calls this."""
    to_onnx(SoftmaxRegression(), output="log")  # type: ignore[arg-type]
    to_onnx(SoftmaxRegression(), k=2)  # type: ignore[call-arg]


if __name__ == "__main__":
    main()
