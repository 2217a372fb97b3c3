"""LibMultiLabel, its linear part: a Bonsai-like tree of labels by k-means, and LIBLINEAR in its nodes.

It is used as its tutorial on many labels does (www.csie.ntu.edu.tw/~cjlin/libmultilabel), by `train_tree` with its defaults.
"""

import pickle

import numpy as np

from .base import System, best_classes


class Tree(System):
    name = "LibMultiLabel tree"
    environment = "libmultilabel"
    packages = ("libmultilabel", "liblinear-multicore")
    settings = "train_tree: k-means (K=100, dmax=10; on half of the CPUs), LIBLINEAR -s 1 (squared hinge), C 1, beam 10"

    def prepare(self):
        import psutil
        from libmultilabel import linear

        # It trains on as many threads as there are cores and cannot be told a number.
        psutil.cpu_count = lambda logical=True: self.n_threads
        self.linear = linear
        self.X, self.y = self.problem.train.X, self.problem.train.indicator(self.problem.n_classes)

    def fit(self):
        np.random.seed(self.seed)  # noqa: NPY002  # it draws the seeds of k-means from this state
        self.model = self.linear.train_tree(self.y, self.X, verbose=False)

    def predict_topk(self, rows, k):
        classes = np.arange(self.problem.n_classes)
        # Its scores are those of single labels.
        return best_classes(self.model.predict_values, rows, k, classes)[0], None

    def save(self, path):
        # Its first prediction has made copies of its weights, and makes them again if it is told that there are none.
        self.model.root_model = self.model.subtree_models = None
        self.model._model_separated = False
        path.write_bytes(pickle.dumps(self.model))


SYSTEMS = (Tree,)
