"""Measured curves: what a training row, a prediction and the memory cost over classes, negatives and threads.

`measure(quick, progress)` returns plain numbers that JSON can hold:

    {"cost_over_classes": records, "cost_over_negatives": records, "cost_over_threads": records,
     "memory_over_classes": records, "left_out": records, "problem": the sizes that all points share,
     "machine_rates": products, copies and the smallest step, the best of before and after: `rates`}

A record is a point of a series:

    series, task      what is measured, as people read it; "training" or "prediction"
    x                 classes, negatives or threads
    y, low, high      median, least and greatest of the rounds, in `unit`
    unit              "microseconds a row", or "bytes" of memory beyond the model and the rows (measured once)
    rounds            how many measurements

and besides: of cost_over_negatives `nll` (held-out, nats a row), `p_at_1_percent`, `epochs` and `n_classes`; of
memory_over_classes `model_bytes`, the parameters and the optimiser's state by themselves. `left_out` has series, x and a
`reason`. What stands in the same list at the same x took turns in one process (`kernels.timing.interleaved`), but for
memory, whose points each have a process of their own.

- **full softmax, low rank**: all classes in every step, exact gradients; **..., small gradients rounded** is
  SoftmaxClassifier's default `gradient_threshold`. **sampled softmax, low rank**: negatives of the unigram^0.75 sampler.
- **exact on the support**: a weight for each pair of feature and class seen together, the full softmax at the support's cost.
- **linear, dense weights**: a weight for each feature and class, all classes in every step.
- **torch, full softmax**: EmbeddingBag, Linear, cross_entropy, fused Adagrad. **torch, sampled softmax**: the same
  negatives by hand, embeddings with sparse gradients, Adagrad. **torch, top 20**: matrix product, topk, logsumexp.

What takes more than 8 GiB (quick: 1) is left out; calls of more than 5 s are measured once. Rows have
`problem.N_ENTRIES` Zipf-distributed features, batches `problem.BATCH_SIZE` rows.
`fastsoftmax bench curves` runs it by itself.
"""

from . import classes, memory, negatives, problem, rates, threads

__all__ = ["measure"]


def measure(quick=False, progress=print, n_threads_list=None):
    """All curves; `progress` is told of each point, in a line of text. n_threads_list : of cost_over_threads, or None."""
    left_out, before = [], rates.measure()
    curves = {
        "cost_over_classes": classes.measure(quick, progress, left_out),
        "cost_over_negatives": negatives.measure(quick, progress),
        "cost_over_threads": threads.measure(quick, progress, n_threads_list),
        "memory_over_classes": memory.measure(quick, progress, left_out),
    }
    machine_rates = rates.best(before, rates.measure())
    return curves | {"left_out": left_out, "problem": problem.summary(), "machine_rates": machine_rates}
