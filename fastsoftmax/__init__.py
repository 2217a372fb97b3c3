"""fastsoftmax: softmax over very many classes on CPUs.

Dense arrays      logsumexp, softmax, log_softmax, cross_entropy
Linear models     linear_logsumexp, linear_cross_entropy, linear_topk; support (of a sparse W), PreparedWeights
Sampling          sampled_cross_entropy, samplers
Estimators        SoftmaxClassifier, SoftmaxRegression, OneVsAllClassifier; LanguageModel, NextItemModel
Evaluation        metrics, plots
Files and text    load, from_sklearn, datasets, features, NGramFeatures, SequenceFeatures, NGramLanguageModel
PyTorch           fastsoftmax.torch, which has to be imported by its name
ONNX              fastsoftmax.onnx, likewise
"""

import importlib

try:
    import fastsoftmax.runtime.threads  # noqa: F401  first: it loads the OpenMP runtime its own way
except ImportError as error:
    if "openmp" not in str(error):
        raise
    raise ImportError(
        f"fastsoftmax in {__path__[0]} is not built: it is a source folder, found before the installed package. "
        "Run Python in another folder, or build in place (CONTRIBUTING.md)."
    ) from error

__version__ = "0.1.0"

# Imported when first used: scikit-learn alone takes longer to import than all the rest, and the command has to begin even
# where the kernels cannot be imported.
_LAZY = {
    "LanguageModel": "estimators.language_model",
    "NGramFeatures": "text.ngram_features",
    "NGramLanguageModel": "ngrams.model",
    "NextItemModel": "estimators.next_item",
    "OneVsAllClassifier": "estimators.one_vs_all",
    "PreparedWeights": "linear",
    "SequenceFeatures": "sequences.features",
    "SoftmaxClassifier": "estimators.classifier",
    "SoftmaxRegression": "estimators.regression",
    "cross_entropy": "functional",
    "from_sklearn": "estimators.from_linear",
    "load": "estimators.loading",
    "linear_cross_entropy": "linear",
    "linear_logsumexp": "linear",
    "linear_topk": "linear",
    "log_softmax": "functional",
    "logsumexp": "functional",
    "sampled_cross_entropy": "sampled",
    "softmax": "functional",
    "support": "model.support",
}
_MODULES = {
    "datasets": "text.datasets",
    "estimators": "estimators",
    "features": "text.features",
    "losses": "losses",
    "metrics": "metrics",
    "objectives": "objectives",
    "optimizers": "optimizers",
    "plots": "plots",
    "samplers": "samplers",
    "terms": "terms",
}

__all__ = [*_LAZY, *_MODULES]


def __getattr__(name):
    if name in _LAZY:
        globals()[name] = value = getattr(importlib.import_module(f"fastsoftmax.{_LAZY[name]}"), name)
        return value
    if name in _MODULES:
        return importlib.import_module(f"fastsoftmax.{_MODULES[name]}")
    raise AttributeError(f"module 'fastsoftmax' has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, "__version__"])
