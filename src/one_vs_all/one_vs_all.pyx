"""Blocks of one-vs-all problems: their losses and derivatives, and the vector steps of conjugate gradients.

Arrays have one column a problem, a multiple of MULTIPLE, and at most MAX_WIDTH.
"""
from libc.stdint cimport int32_t, int64_t

from leaves.binary cimport add_and_dot as add_and_dot_leaf, advance_cg, binary_derivatives, turn_cg
from leaves.structs cimport BINARY_LOGISTIC, BINARY_SQUARED_HINGE, MAX_PROBLEMS, BinaryBlock
from shared.fused cimport real
from shared.table cimport import_leaves

import_leaves()

MULTIPLE = 16  # elements of the widest vector
MAX_WIDTH = MAX_PROBLEMS
KINDS = {"logistic": BINARY_LOGISTIC, "squared_hinge": BINARY_SQUARED_HINGE}


def derivatives(
    int kind,                           # a value of KINDS
    const real[:, ::1] logits,          # (n_rows, width)
    const int64_t[::1] indptr,          # (n_rows + 1,) of the CSR rows of positives
    const int32_t[::1] problems,
    const real[::1] row_weight,         # (n_rows,)
    const real[::1] positive_weight,    # (width,)
    real[:, ::1] slopes_out,
    real[:, ::1] curvatures_out,
    double[::1] losses_out,             # (width,)
):
    """The sums of the losses by problem, and weight times first and second derivative by each logit."""
    cdef BinaryBlock block
    if logits.shape[0] == 0:    # there is no first row to point at
        losses_out[:] = 0
        return
    block.n_rows, block.width = logits.shape[0], logits.shape[1]
    block.indptr = &indptr[0]
    block.problems = &problems[0] if problems.shape[0] else NULL
    block.row_weight = &row_weight[0]
    block.positive_weight = &positive_weight[0]
    with nogil:
        binary_derivatives(kind, &block, &logits[0, 0], &slopes_out[0, 0], &curvatures_out[0, 0], &losses_out[0])


def add_and_dot(const real[:, ::1] a, real[:, ::1] b, double scale, double[::1] dots_out):
    """b <- b + scale a; dots_out <- the products of the columns of a and b."""
    if a.shape[0] == 0:
        dots_out[:] = 0
        return
    with nogil:
        add_and_dot_leaf(&a[0, 0], &b[0, 0], a.shape[0], a.shape[1], <real>scale, &dots_out[0])


def advance(
    const real[::1] length,         # (width,)
    const real[:, ::1] direction,   # (n, width)
    const real[:, ::1] product,     # (n, width): the Hessian times the direction
    const real[::1] inverse,        # (n,): the preconditioner
    real[:, ::1] solution,
    real[:, ::1] residual,
    double[::1] dots_out,           # (width,): the squares of the residual that is left, by the preconditioner
):
    """Go along the direction of conjugate gradients."""
    if solution.shape[0] == 0:
        dots_out[:] = 0
        return
    with nogil:
        advance_cg(&length[0], &direction[0, 0], &product[0, 0], &inverse[0], solution.shape[0], solution.shape[1],
                   &solution[0, 0], &residual[0, 0], &dots_out[0])


def turn(const real[::1] ratio, const real[:, ::1] residual, const real[::1] inverse, real[:, ::1] direction):
    """direction <- inverse residual + ratio direction."""
    if residual.shape[0] == 0:
        return
    with nogil:
        turn_cg(&ratio[0], &residual[0, 0], &inverse[0], residual.shape[0], residual.shape[1], &direction[0, 0])
