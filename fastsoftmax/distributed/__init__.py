"""Training and prediction by several processes, each of which has a range of the classes: docs/distributed.md.

`SoftmaxClassifier(comm=MPI.COMM_WORLD)` is all that a user needs. The modules here say how the ranks of an MPI communicator
exchange arrays (`mpi`), how they put their rows together (`rows`), and how all end when one fails (`failing`).

May import: `training` and what is below it.
"""
