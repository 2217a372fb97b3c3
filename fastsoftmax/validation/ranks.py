"""What processes that train one model together must have."""


def check_mpi(what):
    """Raise ImportError unless mpi4py is there, and an MPI library, which `what` needs."""
    try:
        from mpi4py import MPI  # noqa: F401
    except (ImportError, RuntimeError) as error:  # the latter where mpi4py finds no library
        raise ImportError(
            f'{what} needs the package mpi4py and an MPI, for example from pip install "fastsoftmax[mpi]" ({error})'
        ) from error


def check_launched(n_started, n_ranks):
    """Raise unless MPI has as many ranks as its launcher has started processes."""
    if n_ranks != n_started:
        raise ValueError(
            f"{n_started} processes were started together, but MPI knows of {n_ranks}: start them by the mpiexec of the MPI "
            "that mpi4py uses, such as the one beside python"
        )


def check_communicator(name, comm):
    """Raise unless `comm` is an mpi4py communicator."""
    check_mpi(name)
    from mpi4py import MPI

    if not isinstance(comm, MPI.Intracomm):
        raise TypeError(f"{name} must be None or a communicator of mpi4py such as MPI.COMM_WORLD, got {comm!r}")
    if comm == MPI.COMM_NULL:
        raise ValueError(f"{name} is COMM_NULL, which has no processes")


def check_ranks(n_ranks, n_classes):
    """Raise where some rank would have no class."""
    if n_ranks > n_classes:
        raise ValueError(
            f"comm has {n_ranks} ranks, and y only {n_classes} classes: each rank has to have one at least"
        )


def check_loaded_ranks(path, n_ranks, n_classes):
    """Raise where some rank would have no class of a model in a file."""
    if n_ranks > n_classes:
        raise ValueError(
            f"{path}: comm has {n_ranks} ranks, and the model only {n_classes} classes: each has to have one"
        )


def check_can_divide(loss, *, several, n_ranks):
    """Raise where a model cannot be trained with its classes divided among ranks.

    loss : one of fastsoftmax.losses
    several : whether rows have several labels
    """
    if n_ranks == 1:
        return
    if several:
        raise ValueError("comm: rows with several labels cannot be trained on by several ranks; use one process")
    sampler = loss.sampler if loss.is_sampled else None
    if getattr(sampler, "follows_model", sampler == "multi_index"):
        raise ValueError(
            f"comm: the sampler {sampler!r} follows the weights of all classes, of which each rank has a part; use another one"
        )


def check_undivided(what, estimator):
    """Raise where the classes of an estimator's model are divided among ranks, and `what` asks it block by block."""
    model = getattr(estimator, "__dict__", {}).get("_model")
    if getattr(model, "shard", None) is not None:
        check_one_process(model, what)


def check_ranks_of_model(model, ranks):
    """Raise where a model so far is not divided among these ranks, which are to go on with it."""
    if model is not None and model.shard.ranks is not ranks:
        has, wants = model.shard.ranks.size, ranks.size
        raise ValueError(
            f"the model so far is of {has} processes, and comm has {wants}, or others: save it, and load it with this comm"
        )


def check_one_process(model, what):
    """Raise where the classes of `model` are divided among ranks, and `what`, a method, needs all of them."""
    if model.shard.ranks.size > 1:
        raise ValueError(
            f"{what} needs the weights of all classes, of which each rank has a part: save the model, and load all of it"
        )


def check_same_ranks(path, before, now):
    """Raise where there are files of a checkpoint by another number of ranks; `before` : a set of such numbers."""
    if before:
        was = "1 rank" if before == {1} else f"{max(before)} ranks"
        raise ValueError(
            f"checkpoint {str(path)!r} is of a training by {was}, and now there are {now}: it goes on with as many as before. "
            "Remove the files or name another one to start anew"
        )


def check_generation(path, was_complete, missing):
    """Raise where ranks have no checkpoint in common, but had one; `missing` : ranks that have none at all."""
    if was_complete:
        which = f"rank {missing[0]} has no file" if missing else "their files are of different ones"
        raise ValueError(
            f"the ranks have no checkpoint {str(path)!r} in common: {which}. Put the missing files back, or remove the others "
            "to start anew"
        )
