"""omikuji: forests of label trees, Parabel-like and Bonsai-like, as its README has them (github.com/tomtung/omikuji)."""

from itertools import pairwise
from types import MappingProxyType

from .base import System, rectangle, rows_as_text

LINEAR = "LIBLINEAR's squared hinge C 1, eps 0.1, weights below 0.1 pruned, 3 trees, leaves of 100, beam 10"


class _Forest(System):
    environment = "omikuji"
    packages = ("omikuji",)
    changed = MappingProxyType({})  # its hyper-parameters that are not the default

    def prepare(self):
        import omikuji  # noqa: F401

        train, n_classes = self.problem.train, self.problem.n_classes
        labels = [",".join(map(str, train.labels[a:b])) for a, b in pairwise(train.label_starts)]
        self.text = self.folder / "train.txt"
        with open(self.text, "w") as file:
            file.write(f"{train.n_rows} {self.problem.n_features} {n_classes}\n")
            # A row without entries ends after its labels: a space there is an error.
            file.writelines(f"{y} {x}".rstrip(" ") + "\n" for y, x in zip(labels, rows_as_text(train.X), strict=True))

    def fit(self):
        """Train; omikuji reads its file of text here, since it takes no other data."""
        import omikuji

        parameters = omikuji.Model.default_hyper_param()
        for name, value in self.changed.items():
            setattr(parameters, name, value)
        self.model = omikuji.Model.train_on_data(str(self.text), parameters, self.n_threads)

    def prepare_predictions(self, X):
        self.model.init_prediction_thread_pool(self.n_threads)
        entries = list(zip(X.indices.tolist(), X.data.tolist(), strict=True))
        return [entries[a:b] for a, b in pairwise(X.indptr.tolist())]

    def predict_topk(self, rows, k):
        found = [self.model.predict(row, top_k=k) for row in rows]  # it takes one at a time
        # Its scores are those of single labels.
        return rectangle([[label for label, _ in row] for row in found], k), None

    def save(self, path):
        self.model.save(str(path))


class Parabel(_Forest):
    name = "omikuji Parabel"
    settings = f"its defaults: balanced 2-means; {LINEAR}"


class Bonsai(_Forest):
    name = "omikuji Bonsai"
    settings = f"cluster_balanced=False, cluster_k=100, max_depth=3; {LINEAR}"
    changed = MappingProxyType({"cluster_balanced": False, "cluster_k": 100, "max_depth": 3})


SYSTEMS = (Parabel, Bonsai)
