"""Curves: what a row of training and a prediction cost over classes, negatives and threads, and memory over classes.

`measure(quick, progress)` returns plain numbers that JSON can hold:

    {"cost_over_classes": records, "cost_over_negatives": records, "cost_over_threads": records,
     "memory_over_classes": records, "left_out": records, "problem": the sizes that all points share,
     "machine_rates": what `rates` measured before and after, the better of both}

A record is a point of a series:

    series, task      what is measured, as people read it; "training" or "prediction"
    x                 classes, negatives or threads
    y, low, high      median, least and greatest of the rounds, in `unit`
    unit              "microseconds a row", or "bytes" of memory beyond the model and the rows (measured once)
    rounds            how many measurements

Records of cost_over_negatives also have `nll` (held-out, in nats), `p_at_1_percent`, `epochs` and `n_classes`; those of
memory_over_classes have `model_bytes`, of the weights and the optimiser's state. `left_out` has series, x and a `reason`.
Calls of the same list and x took turns in one process (`kernels.timing.interleaved`), but each point of memory has a process
of its own.

- **full softmax, low rank**: all classes in every step, exact gradients; **..., small gradients rounded** is
  SoftmaxClassifier's default `gradient_threshold`. **sampled softmax, low rank** has negatives of the unigram^0.75 sampler.
- **exact on the support**: a weight for each pair of feature and class seen together, the full softmax at the support's cost.
- **linear, dense weights**: a weight for each feature and class, all classes in every step.
- **torch, full softmax**: EmbeddingBag, Linear, cross_entropy, fused Adagrad. **torch, sampled softmax**: the same
  negatives by hand, embeddings with sparse gradients, Adagrad. **torch, top 20**: matrix product, topk, logsumexp.

What takes more than 8 GiB (quick: 1) is left out, and calls of more than 5 s are measured once. Rows have
`problem.N_ENTRIES` Zipf-distributed features, and batches have `problem.BATCH_SIZE` rows.
"""

from . import classes, memory, negatives, problem, rates, threads

__all__ = ["measure"]


def measure(quick=False, progress=print, n_threads_list=None):
    """Measure all curves; `progress` takes a line of text about each point. `n_threads_list` is for cost_over_threads."""
    left_out, before = [], rates.measure()
    curves = {
        "cost_over_classes": classes.measure(quick, progress, left_out),
        "cost_over_negatives": negatives.measure(quick, progress),
        "cost_over_threads": threads.measure(quick, progress, n_threads_list),
        "memory_over_classes": memory.measure(quick, progress, left_out),
    }
    machine_rates = rates.best(before, rates.measure())
    return curves | {"left_out": left_out, "problem": problem.summary(), "machine_rates": machine_rates}
