"""The compiled kernels, built from `src/`: tiling and threads in Cython, leaf loops in C for each instruction set.

They trust what they are given. May import: nothing of the package but `runtime`.
"""
