from fastsoftmax import estimators as estimators
from fastsoftmax import losses as losses
from fastsoftmax import metrics as metrics
from fastsoftmax import objectives as objectives
from fastsoftmax import optimizers as optimizers
from fastsoftmax import plots as plots
from fastsoftmax import samplers as samplers
from fastsoftmax import terms as terms
from fastsoftmax.estimators.classifier import SoftmaxClassifier as SoftmaxClassifier
from fastsoftmax.estimators.from_linear import from_sklearn as from_sklearn
from fastsoftmax.estimators.language_model import LanguageModel as LanguageModel
from fastsoftmax.estimators.loading import load as load
from fastsoftmax.estimators.next_item import NextItemModel as NextItemModel
from fastsoftmax.estimators.one_vs_all import OneVsAllClassifier as OneVsAllClassifier
from fastsoftmax.estimators.regression import SoftmaxRegression as SoftmaxRegression
from fastsoftmax.functional import cross_entropy as cross_entropy
from fastsoftmax.functional import log_softmax as log_softmax
from fastsoftmax.functional import logsumexp as logsumexp
from fastsoftmax.functional import softmax as softmax
from fastsoftmax.linear import PreparedWeights as PreparedWeights
from fastsoftmax.linear import linear_cross_entropy as linear_cross_entropy
from fastsoftmax.linear import linear_logsumexp as linear_logsumexp
from fastsoftmax.linear import linear_topk as linear_topk
from fastsoftmax.model.support import support as support
from fastsoftmax.ngrams.model import NGramLanguageModel as NGramLanguageModel
from fastsoftmax.sampled import sampled_cross_entropy as sampled_cross_entropy
from fastsoftmax.sequences.features import SequenceFeatures as SequenceFeatures
from fastsoftmax.text import datasets as datasets
from fastsoftmax.text import features as features
from fastsoftmax.text.ngram_features import NGramFeatures as NGramFeatures

__version__: str
__all__: list[str]
