"""Two ways to the least loss of softmax regression: L-BFGS of SciPy, and Newton's method by conjugate gradients.

Both take a loss.RegressionLoss, the theta to start from, which becomes the result, and a Whitening or Diagonal of `scaling`,
in whose variables they work. After each iteration they call `watch(iteration, loss, largest element of the gradient)`. They
return the number of iterations, and whether that element is at most `tol` or the loss can fall only by as much as rounding.
"""

import numpy as np
from scipy.optimize import minimize

from fastsoftmax.runtime.blocks import Blocks, dot

MAX_CG_STEPS = 200  # in one iteration of Newton's method
ARMIJO = 1e-4  # share of the expected decrease that a step must bring
SMALLEST_STEP = 1e-10


def lbfgs(loss, theta, scaling, *, tol, max_iter, watch):
    start, gradient = theta.copy(), np.empty_like(theta)
    sizes = []  # the largest element of the gradient at the start and after each iteration

    def go_to(u):
        scaling.to_theta(u.reshape(theta.shape).astype(theta.dtype, copy=False), theta)
        np.add(theta, start, out=theta)

    def value_and_gradient(u):
        go_to(u)
        value = loss.value_and_gradient(theta, gradient)
        by_u = np.empty_like(theta)
        scaling.to_u(gradient, by_u)
        if not sizes:
            sizes.append(_largest(gradient))
        return value, by_u.ravel().astype(np.float64, copy=False)

    def after_iteration(intermediate_result):
        sizes.append(_largest(gradient))
        watch(len(sizes) - 1, intermediate_result.fun, sizes[-1])
        if sizes[-1] <= tol:
            raise StopIteration

    options = {
        "maxiter": max_iter,
        "maxfun": 20 * max_iter,
        "gtol": 0.0,
        "ftol": np.finfo(theta.dtype).eps,
        "maxls": 50,
    }
    found = minimize(
        value_and_gradient, np.zeros(theta.size), jac=True, method="L-BFGS-B", callback=after_iteration, options=options
    )
    go_to(found.x)
    return len(sizes) - 1, _has_converged(sizes[-1], tol, theta.dtype, max_iter - len(sizes) + 1)


def newton_cg(loss, theta, scaling, *, tol, max_iter, watch, n_threads):
    """Each iteration solves for the Newton step as exactly as pays off, then goes along it as far as the loss falls."""
    gradient, trial, next_gradient = np.empty_like(theta), np.empty_like(theta), np.empty_like(theta)
    value = loss.value_and_gradient(theta, gradient)
    newton_step = NewtonStep(loss, scaling, n_threads)
    size, n_iter = _largest(gradient), 0
    while size > tol and n_iter < max_iter:
        newton_step.solve(gradient)
        slope, length = newton_step.slope(gradient), 1.0
        while True:
            newton_step.go(theta, length, trial)
            next_value = loss.value_and_gradient(trial, next_gradient)
            if next_value <= value + ARMIJO * length * slope or length < SMALLEST_STEP:
                break
            length /= 2
        if not next_value < value:  # rounding hides any decrease that is left
            break
        theta[...] = trial
        gradient, next_gradient, value = next_gradient, gradient, next_value
        size, n_iter = _largest(gradient), n_iter + 1
        watch(n_iter, value, size)
    return n_iter, _has_converged(size, tol, theta.dtype, max_iter - n_iter)


def _has_converged(size, tol, dtype, n_left):
    """Whether the gradient is small enough or, if iterations are left, so small that rounding of the loss hides the rest.

    A gradient g promises a decrease of g^2 / 2 H. If the loss and the curvature H are of order one, rounding hides it for g
    below sqrt(2 eps).
    """
    return bool(size <= (max(tol, 4 * np.sqrt(np.finfo(dtype).eps)) if n_left else tol))


class NewtonStep:
    """Solves H step = -gradient by conjugate gradients in the variables of the scaling.

    The residual need only fall to a share of the gradient, and the share falls with the gradient: far from the optimum an
    exact step would gain nothing (Dembo and Steihaug 1983).
    """

    def __init__(self, loss, scaling, n_threads):
        self.loss, self.scaling = loss, scaling
        self.blocks = Blocks(*loss.shape, n_threads)
        self.step, self.residual, self.direction, self.v, self.product = (
            np.empty(loss.shape, loss.product_dtype) for _ in range(5)
        )
        self.first = None

    def solve(self, gradient):
        """Find the step for this gradient."""
        blocks, step, r, p = self.blocks, self.step, self.residual, self.direction
        np.negative(gradient, out=self.v, casting="same_kind")
        self.scaling.to_u(self.v, r)
        p[...] = r
        step.fill(0)
        rr = blocks.sum(lambda rows: dot(r[rows], r[rows]))
        if not rr > 0:
            raise ValueError(
                f"X has values so near the ends of {r.dtype} that the gradient vanishes or overflows in their scale: scale X, "
                "or give it as float64"
            )
        self.first = self.first or rr
        goal = rr * min(0.25, (rr / self.first) ** 0.25) ** 2
        for _ in range(MAX_CG_STEPS):
            curvature = self._curvature(p)
            if not curvature > 0:
                break
            a = rr / curvature
            rr_before, rr = rr, blocks.sum(lambda rows, a=a: self._advance(rows, a))
            if rr <= goal:
                break
            blocks.run(lambda rows, b=rr / rr_before: self._turn(rows, b))
        self.scaling.to_theta(step, self.v)

    def slope(self, gradient):
        """The product of the gradient and the step: how fast the loss changes along the step."""
        return self.blocks.sum(lambda rows: dot(gradient[rows], self.v[rows]))

    def go(self, theta, length, out):
        """out <- theta + length step."""
        self.blocks.run(lambda rows: np.add(theta[rows], length * self.v[rows], out=out[rows]))

    def _curvature(self, p):
        """p . H p; `product` becomes H p."""
        self.scaling.to_theta(p, self.v)
        self.loss.hessian_product(self.v, self.product)
        self.scaling.to_u(self.product, self.product)
        return self.blocks.sum(lambda rows: dot(p[rows], self.product[rows]))

    def _advance(self, rows, a):
        """Take one step along the direction. Returns the square of the residual that is left."""
        self.step[rows] += self.step.dtype.type(a) * self.direction[rows]
        self.residual[rows] -= self.step.dtype.type(a) * self.product[rows]
        return dot(self.residual[rows], self.residual[rows])

    def _turn(self, rows, b):
        """Turn to the next direction."""
        self.direction[rows] *= self.step.dtype.type(b)
        self.direction[rows] += self.residual[rows]


def _largest(a):
    return float(max(a.max(), -a.min()))
