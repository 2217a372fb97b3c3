"""What it costs to divide the classes among MPI ranks: rows a second, bytes sent, and memory of each rank.

    python -m benches.studies.ranks [data.svm] [--training sampled] [--classes N] [--ways 1x2 2x1 4x1] [--rounds 3]

A way is the number of ranks x their threads. It trains on the svmlight file, or on synthetic rows of that many classes, with
each way in turn, and prints the median rows a second of the epochs, bytes that a rank sends for each row, its share of the
time in exchanges, the largest private memory of a rank beyond what it had before training, and the loss. With more --classes
than rows, all are declared and the rows are learned as one chunk of a stream.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.ranks import ONE
from fastsoftmax.training.watchers.base import Watcher

from ..watching import watching
from .synthetic import synthetic

TRAININGS = {
    "full": {"loss": "softmax", "hidden_size": 128},
    "sampled": {"loss": "sampled_softmax", "hidden_size": 128},
    "sparse": {"direct": "sparse", "hidden_size": None},
    "both": {"direct": "sparse", "hidden_size": 128, "loss": "sampled_softmax"},
}
ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


class Epochs(Watcher):
    """Times the steps of each epoch, and counts what they send."""

    matters = False

    def __init__(self, ranks):
        self.ranks, self.n_rows, self.seconds, self.sent, self.waited = ranks, 0, [], [], []

    def before_epoch(self, trainer):
        self.n_rows = 0  # without those held out
        self.before = time.perf_counter(), self.ranks.bytes_sent, self.ranks.seconds

    def after_step(self, trainer, n_rows, loss):
        self.n_rows += n_rows

    def after_epoch(self, trainer):
        now = time.perf_counter(), self.ranks.bytes_sent, self.ranks.seconds
        for to, a, b in zip((self.seconds, self.sent, self.waited), now, self.before, strict=True):
            to.append(a - b)


class Private:
    """The largest private memory of this process while the context is open, beyond that at its beginning."""

    def __enter__(self):
        self.before = self.most = self._now()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _now(self):
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))

    def _watch(self):
        while not self.done.wait(0.02):
            self.most = max(self.most, self._now())

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.bytes = self.most - self.before


def train(folder, options):
    """Train on one rank, and print what it took as a line of JSON."""
    comm, ranks = None, ONE
    if options.size > 1:
        from mpi4py import MPI

        from fastsoftmax.distributed.mpi import ranks_of

        comm, ranks = MPI.COMM_WORLD, ranks_of(MPI.COMM_WORLD)
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in Path(folder).glob("*.npy")}
    X = sp.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=tuple(arrays["shape"]))
    y, epochs = np.array(arrays["y"]), Epochs(ranks)
    model = SoftmaxClassifier(**TRAININGS[options.training], max_iter=options.epochs, random_state=0, comm=comm)
    with watching(epochs), Private() as private:
        if options.classes is not None and options.classes > X.shape[0]:
            model.partial_fit(X, y, n_classes=options.classes)
        else:
            model.fit(X, y)
    n_rows = epochs.n_rows
    mine = {
        "rows/s": n_rows / statistics.median(epochs.seconds),
        "bytes a row": statistics.median(epochs.sent) / n_rows,
        "share in exchanges": sum(epochs.waited) / sum(epochs.seconds),
        "MiB": private.bytes / 2**20,
        "loss": model.loss_curve_[-1],
    }
    of_ranks = ranks.objects(mine)
    if not ranks.rank:
        mine["MiB"] = max(one["MiB"] for one in of_ranks)
        print(json.dumps(mine))


def run(way, folder, arguments):
    """What `train` prints where it is started on ranks x threads."""
    size, n_threads = map(int, way.split("x"))
    command = [sys.executable, "-m", "benches.studies.ranks", *arguments, "--folder", str(folder), "--size", str(size)]
    if size > 1:
        fits = size * n_threads <= threads.n_cpus()
        place = ["--map-by", f"slot:PE={n_threads}"] if fits else ["--map-by", ":oversubscribe", "--bind-to", "none"]
        command = ["mpiexec", *place, "-n", str(size), *command]
    environment = os.environ | ROOT | {"OMP_NUM_THREADS": str(n_threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def store(folder, X, y):
    """Write the rows as arrays that all ranks map."""
    X = sp.csr_array(X, dtype=np.float32)
    arrays = {"data": X.data, "indices": X.indices, "indptr": X.indptr, "y": y, "shape": np.array(X.shape)}
    for name, a in arrays.items():
        np.save(Path(folder) / name, a)


def rows_of(options):
    if options.data is not None:
        from sklearn.datasets import load_svmlight_file

        X, y = load_svmlight_file(options.data)
        return X, y.astype(np.int64)
    return synthetic(**{} if options.classes is None else {"n_classes": options.classes})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--training", choices=TRAININGS, default="sampled")
    parser.add_argument("--classes", type=int)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=["1x2", "2x1", "4x1"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is not None:
        return train(options.folder, options)
    arguments = ["--training", options.training, "--epochs", str(options.epochs)]
    arguments += [] if options.classes is None else ["--classes", str(options.classes)]
    results = {way: [] for way in options.ways}
    with tempfile.TemporaryDirectory() as folder:
        store(folder, *rows_of(options))
        for _ in range(options.rounds):
            for way in options.ways:
                results[way].append(run(way, folder, arguments))
    first = statistics.median(result["rows/s"] for result in results[options.ways[0]])
    for way, of_way in results.items():
        medians = {name: statistics.median(result[name] for result in of_way) for name in of_way[0]}
        shown = ", ".join(f"{name} {value:,.6g}" for name, value in medians.items())
        print(f"{options.training} {way}: {medians['rows/s'] / first:.2f} of {options.ways[0]}; {shown}", flush=True)


if __name__ == "__main__":
    main()
