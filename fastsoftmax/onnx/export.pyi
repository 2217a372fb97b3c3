from typing import Any, Literal

def to_onnx(
    model: Any,
    X: Any = None,
    *,
    output: Literal["auto", "proba", "log_proba", "logits"] = "auto",
    topk: int | None = None,
    target_opset: int | None = None,
    options: dict[Any, Any] | None = None,
) -> Any: ...  # an onnx.ModelProto
