"""The metrics of a model of the next item, against those of its lists."""

import numpy as np
import pytest

from fastsoftmax.metrics import (
    coverage_at_k,
    evaluate_next_items,
    every_prefix,
    hit_at_k,
    leave_one_out,
    mrr_at_k,
    ndcg_at_k,
    popularity_bias_at_k,
)

ITEMS = np.array(list("abcdefgh"))
POPULARITY = dict(zip(ITEMS.tolist(), [9, 5, 4, 3, 2, 1, 1, 0], strict=True))


class Following:
    """Predicts the letters after the last one, in a circle; -1 would be no padding here, so that is the empty string."""

    items_ = ITEMS

    def __init__(self):
        self.blocks = []

    def predict_topk(self, histories, k, *, exclude_seen=False):
        assert all(type(history) is list for history in histories) and k <= len(ITEMS)
        self.blocks.append(len(histories))
        rows = [self.row(history, k, exclude_seen) for history in histories]
        return np.array(rows), np.zeros((len(rows), k))

    def row(self, history, k, exclude_seen):
        at = "abcdefgh".find(history[-1])
        row = [ITEMS[(at + j) % 8] for j in (1, 2, 0, 3, 4)]
        return ([item for item in row if not (exclude_seen and item in history)] + [""] * k)[:k]


@pytest.fixture
def sequences():
    rng = np.random.default_rng(0)
    return [rng.choice(list("abcdefghz"), rng.integers(0, 9)).tolist() for _ in range(40)]


@pytest.mark.parametrize("exclude_seen", [False, True])
@pytest.mark.parametrize("protocol", ["every", "last"])
def test_as_from_the_lists(sequences, protocol, exclude_seen):
    model = Following()
    options = {"protocol": protocol, "exclude_seen": exclude_seen, "popularity": POPULARITY, "batch_size": 7}
    result = evaluate_next_items(model, sequences, [1, 4], **options)
    histories, y = every_prefix(sequences) if protocol == "every" else leave_one_out(sequences)[1:]
    assert max(model.blocks) == 7 and sum(model.blocks) == len(y)
    topk, _ = model.predict_topk(list(histories), 4, exclude_seen=exclude_seen)
    expected = {"n": len(y), "n_unknown": y.count("z")}
    for k in (1, 4):
        expected |= {f"hit@{k}": hit_at_k(topk, y, k), f"mrr@{k}": mrr_at_k(topk, y, k)}
        expected |= {f"ndcg@{k}": ndcg_at_k(topk, y, k), f"coverage@{k}": coverage_at_k(topk, k, ITEMS)}
        expected[f"popularity_bias@{k}"] = popularity_bias_at_k(topk, y, k, POPULARITY)
    assert result == pytest.approx(expected)
    assert 0 < result["hit@1"] < result["hit@4"] and result["n_unknown"] > 0


def test_depths_and_items(sequences):
    result = evaluate_next_items(Following(), sequences)
    assert list(result) == ["n", "n_unknown", "hit@20", "mrr@20", "ndcg@20", "coverage@20"]
    more = evaluate_next_items(Following(), sequences, items=[*ITEMS, *"zyxwvuts"])
    assert more["coverage@20"] == result["coverage@20"] / 2 and more["n_unknown"] == 0
    arrays = np.array(list("abce")), np.array([0])
    one = Following()
    one.predict_topk = lambda histories, k, exclude_seen: Following().predict_topk(list(map(list, histories)), k)
    assert evaluate_next_items(one, arrays, 1)["hit@1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"k": []}, ValueError, "k must name at least one depth"),
        ({"protocol": "first"}, ValueError, "protocol must be one of 'every', 'last', got 'first'"),
        ({"exclude_seen": 1}, TypeError, "exclude_seen must be True or False, got 1"),
        ({"sequences": [["a"], []]}, ValueError, "sequences must hold a sequence of at least two items"),
        ({"sequences": ["ab"]}, TypeError, "sequences must hold sequences of items"),
        ({"items": ["a"]}, ValueError, "predict_topk.* holds 'b' at position 0, which is not among the 1 classes"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        evaluate_next_items(**{"model": Following(), "sequences": [["a", "b"]]} | options)
