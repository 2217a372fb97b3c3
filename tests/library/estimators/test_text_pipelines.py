"""Texts in scikit-learn's pipelines: what is only of the last step, searches, and the way to a file."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from fastsoftmax import SoftmaxClassifier, SoftmaxRegression, load
from fastsoftmax.metrics import NegLogLoss
from fastsoftmax.text.text_vectorizer import TextVectorizer

TEXTS = ["boil an egg", "bake the bread", "an egg for breakfast", "bread and butter"] * 6
LABELS = ["egg", "bread"] * 12
NEW = ["eggs", "boil the butter", ""]


@pytest.mark.parametrize("model", [SoftmaxClassifier(n_threads=1, random_state=0), SoftmaxRegression()])
@pytest.mark.parametrize("vectorizer", [TextVectorizer(max_chars=4), TfidfVectorizer()])
def test_the_best_labels_of_the_last_step(vectorizer, model):
    pipe = make_pipeline(clone(vectorizer), clone(model)).fit(TEXTS, LABELS)
    labels, log_proba = pipe[-1].predict_topk(pipe[:-1].transform(NEW), k=2)
    assert_array_equal(labels[:, 0], pipe.predict(NEW))
    assert_allclose(np.exp(log_proba).max(axis=1), pipe.predict_proba(NEW).max(axis=1), rtol=1e-6)
    explained = pipe[-1].explain(pipe[:-1].transform(["boil"]), "egg", feature_names=pipe[:-1].get_feature_names_out())
    assert "boil" in explained[0].features


@pytest.mark.parametrize("model", [SoftmaxClassifier(n_threads=1, random_state=0), SoftmaxRegression()])
def test_from_a_pipeline_to_a_file_that_takes_texts(model, tmp_path):
    pipe = make_pipeline(TextVectorizer(max_words=1), clone(model)).fit(TEXTS, LABELS)
    pipe[-1].save(tmp_path / "model", vectorizer=pipe[0])
    loaded = load(tmp_path / "model")
    assert type(loaded) is type(model)
    assert_array_equal(loaded.predict_proba(NEW), pipe.predict_proba(NEW))
    assert loaded.predict_topk(["boil an egg"], k=1)[0].tolist() == [["egg"]]
    assert_array_equal(
        pipe.predict(NEW), loaded.predict(NEW)
    )  # the step is the same model, and still takes its columns


def test_a_search_over_both_steps():
    pipe = Pipeline(
        [("words", TextVectorizer()), ("model", SoftmaxClassifier(n_threads=1, random_state=0, max_iter=3))]
    )
    grid = {"words__max_words": [1, 2], "words__max_chars": [0, 4], "model__max_iter": [1, 20]}
    search = GridSearchCV(pipe, grid, cv=3, scoring=NegLogLoss()).fit(TEXTS, LABELS)
    assert len(search.cv_results_["params"]) == 8 and np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["model__max_iter"] == 20
    best = search.best_estimator_
    labels, _ = best[-1].predict_topk(best[:-1].transform(["boil an egg"]), k=1)
    assert labels.tolist() == [["egg"]] and search.predict(["boil an egg"]).tolist() == ["egg"]
    assert clone(best)[0].vocabulary_ is None and best[0].vocabulary_ is not None
