"""Walker's alias tables: O(K) to build with no scratch memory, O(1) a draw.

Threshold and alias of a bucket stand side by side, so that a draw from a table far larger than the caches costs one
miss. The table is built by the sweep of Hübschle-Schneider and Sanders ("Parallel weighted random sampling", ESA 2019,
doi:10.4230/LIPIcs.ESA.2019.59): one pointer walks the light classes and one the heavy, where Vose's method needs lists.
"""
from libc.stdint cimport int64_t

import numpy as np

cdef packed struct Bucket:
    double threshold
    int64_t alias

BUCKET = np.dtype([("threshold", np.float64), ("alias", np.int64)])


cdef Py_ssize_t next_light(const double[::1] probabilities, Py_ssize_t k) noexcept nogil:
    cdef Py_ssize_t n_classes = probabilities.shape[0]
    while k < n_classes and probabilities[k] * n_classes >= 1.0:
        k += 1
    return k


cdef Py_ssize_t next_heavy(const double[::1] probabilities, Py_ssize_t k) noexcept nogil:
    cdef Py_ssize_t n_classes = probabilities.shape[0]
    while k < n_classes and probabilities[k] * n_classes < 1.0:
        k += 1
    return k


def build(
    const double[::1] probabilities,  # IN (K,) summing to 1
    Bucket[::1] table_out,  # OUT (K,)
):
    """Fill every bucket with mass 1 (in units of 1 / K): `threshold` of its own class, the rest of its alias."""
    cdef:
        Py_ssize_t n_classes = probabilities.shape[0]
        Py_ssize_t light, heavy, following
        double left  # mass of class `heavy` that is in no bucket yet
    with nogil:
        light = next_light(probabilities, 0)
        heavy = next_heavy(probabilities, 0)
        left = probabilities[heavy] * n_classes if heavy < n_classes else 1.0
        while heavy < n_classes:
            if left > 1.0 and light < n_classes:
                table_out[light].threshold = probabilities[light] * n_classes
                table_out[light].alias = heavy
                left -= 1.0 - table_out[light].threshold
                light = next_light(probabilities, light + 1)
                continue
            following = next_heavy(probabilities, heavy + 1)
            if following < n_classes:
                table_out[heavy].threshold = left
                table_out[heavy].alias = following
                left += probabilities[following] * n_classes - 1.0
            else:
                table_out[heavy].threshold = 1.0
                table_out[heavy].alias = heavy
            heavy = following
        while light < n_classes:  # left over by rounding, so their buckets are full but for that
            table_out[light].threshold = 1.0
            table_out[light].alias = light
            light = next_light(probabilities, light + 1)


def draw(
    const Bucket[::1] table,  # IN (K,)
    const double[::1] uniforms,  # IN (n,) in [0, 1)
    int64_t[::1] class_ids,  # IN (n,) buckets drawn uniformly; OUT the classes drawn
):
    """Turn each bucket into its own class, or into its alias where the uniform is at or past the threshold."""
    cdef Py_ssize_t i
    cdef Bucket bucket
    with nogil:
        for i in range(class_ids.shape[0]):
            bucket = table[class_ids[i]]
            # Without a branch: half of them would be mispredicted, each only after its cache miss.
            class_ids[i] += (bucket.alias - class_ids[i]) * (uniforms[i] >= bucket.threshold)
