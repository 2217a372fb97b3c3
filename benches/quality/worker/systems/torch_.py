"""PyTorch, as one would write it: embedding bag, linear layer, cross-entropy (over all classes or sampled ones), Adagrad."""

import numpy as np

from .base import System, blocks

HIDDEN, BATCH, LEARNING_RATE, N_NEGATIVES = 128, 256, 0.1, 1024
# Multiply-adds of the logits alone. With their gradients, a 2-core AVX-512 machine makes some 2e10 a second, 2e13 in 17
# minutes.
MAX_FULL = 2e13
EMBEDDING_SCALE = HIDDEN**-0.5


class _Torch(System):
    environment = "torch"
    packages = ("torch",)
    budgets, budget = (1, 3, 10), 10

    def prepare(self):
        import torch

        torch.set_num_threads(self.n_threads)
        torch.manual_seed(self.seed)
        self.torch = torch
        self.X, self.y = self.problem.train.one_label_a_row()
        self.y = torch.from_numpy(np.ascontiguousarray(self.y, dtype=np.int64))
        n_features, n_classes = self.problem.n_features, self.problem.n_classes
        # Sparse gradients leave the rows of features that a batch lacks untouched; dense rows have all features.
        self.embedding = torch.nn.EmbeddingBag(
            n_features, HIDDEN, mode="sum", sparse=self.problem.kind != "dense", include_last_offset=True
        )
        torch.nn.init.normal_(self.embedding.weight, std=EMBEDDING_SCALE)
        self.output = torch.nn.Linear(HIDDEN, n_classes)
        torch.nn.init.zeros_(self.output.weight)
        torch.nn.init.zeros_(self.output.bias)

        self._warm_up()

    def _warm_up(self):
        """Make a first step: in it PyTorch imports parts of itself, which takes a second."""
        weight = self.torch.nn.Parameter(self.torch.zeros(1))
        optimizer = self.torch.optim.Adagrad([weight], fused=True)
        (weight * 1.0).sum().backward()
        optimizer.step()

    def fit(self):
        rng = np.random.default_rng(self.seed)
        optimizers = self.optimizers()
        for _ in range(self.budget):
            order = rng.permutation(self.X.shape[0])
            X, y = self.X[order], self.y[self.torch.from_numpy(order)]
            for start in range(0, len(y), BATCH):
                loss = self.loss(self.hidden(X[start : start + BATCH]), y[start : start + BATCH])
                for optimizer in optimizers:
                    optimizer.zero_grad()
                loss.backward()
                for optimizer in optimizers:
                    optimizer.step()

    def optimizers(self):
        """Return a fused optimiser, which is faster, for dense gradients, and a plain one for sparse gradients."""
        modules = [self.embedding, *self.output.modules()]
        with_sparse = {id(p) for m in modules if getattr(m, "sparse", False) for p in m.parameters()}
        parameters = [*self.embedding.parameters(), *self.output.parameters()]
        groups = (
            ([p for p in parameters if id(p) in with_sparse], False),
            ([p for p in parameters if id(p) not in with_sparse], True),
        )
        return [self.torch.optim.Adagrad(group, lr=LEARNING_RATE, fused=fused) for group, fused in groups if group]

    def loss(self, hidden, y):
        raise NotImplementedError

    def hidden(self, X):
        from_numpy = self.torch.from_numpy
        return self.embedding(
            from_numpy(X.indices.astype(np.int64)), from_numpy(X.indptr.astype(np.int64)), from_numpy(X.data)
        )

    def logits(self, hidden):
        return self.output(hidden)

    def predict_topk(self, rows, k):
        class_ids, log_proba = [], []
        with self.torch.inference_mode():
            for b in blocks(rows.shape[0], self.problem.n_classes):
                logits = self.logits(self.hidden(rows[b]))
                best, ids = logits.topk(min(k, self.problem.n_classes), dim=1)
                class_ids.append(ids.numpy())
                log_proba.append((best - logits.logsumexp(dim=1, keepdim=True)).numpy())
        return np.concatenate(class_ids), np.exp(np.concatenate(log_proba))

    def target_log_proba(self, X, class_ids):
        out = np.empty(len(class_ids))
        targets = self.torch.from_numpy(class_ids)
        with self.torch.inference_mode():
            for b in blocks(len(class_ids), self.problem.n_classes):
                logits = self.logits(self.hidden(X[b]))
                out[b] = -self.torch.nn.functional.cross_entropy(logits, targets[b], reduction="none").numpy()
        return out

    def save(self, path):
        with open(path, "wb") as file:
            self.torch.save({"embedding": self.embedding.state_dict(), "output": self.output.state_dict()}, file)


class Full(_Torch):
    name = "PyTorch full softmax"
    settings = (
        "EmbeddingBag(sum, 128) -> Linear, cross_entropy, Adagrad(0.1, fused), batch 256, "
        "sparse gradients of the embedding"
    )

    @classmethod
    def why_not(cls, problem):
        work = problem["n_train"] * problem["labels_a_row"] * problem["n_classes"] * HIDDEN * cls.budget
        return f"{work:.0e} multiply-adds of logits in {cls.budget} epochs" if work > MAX_FULL else ""

    def loss(self, hidden, y):
        return self.torch.nn.functional.cross_entropy(self.output(hidden), y)


class Sampled(_Torch):
    name = "PyTorch sampled softmax"
    settings = (
        "EmbeddingBag(sum, 128) -> rows of the output matrix, cross_entropy over the target and 1,024 negatives that a batch "
        "shares, drawn by count^0.75, logQ correction, accidental hits masked; Adagrad(0.1), batch 256, sparse gradients"
    )

    @classmethod
    def why_not(cls, problem):
        few = problem["n_classes"] <= N_NEGATIVES
        return f"{problem['n_classes']} classes are no more than the {N_NEGATIVES} negatives" if few else ""

    def prepare(self):
        super().prepare()
        torch = self.torch
        counts = np.bincount(self.y.numpy(), minlength=self.problem.n_classes).astype(np.float64) ** 0.75
        self.cumulative = np.cumsum(counts / counts.sum())
        self.log_expected = torch.from_numpy(np.log(N_NEGATIVES * counts / counts.sum()).astype(np.float32))
        self.rows = torch.nn.Embedding(self.problem.n_classes, HIDDEN, sparse=True)
        self.bias = torch.nn.Embedding(self.problem.n_classes, 1, sparse=True)
        for table in (self.rows, self.bias):
            torch.nn.init.zeros_(table.weight)
        self.output = torch.nn.ModuleList([self.rows, self.bias])
        self.rng = np.random.default_rng(self.seed + 1)

    def loss(self, hidden, y):
        drawn = np.searchsorted(self.cumulative, self.rng.random(N_NEGATIVES), side="right")
        drawn = self.torch.from_numpy(np.minimum(drawn, self.problem.n_classes - 1))
        return sampled_loss(hidden, y, drawn, self.log_expected[drawn], self.rows, self.bias)

    def logits(self, hidden):
        return self.torch.nn.functional.linear(hidden, self.rows.weight, self.bias.weight[:, 0])


def sampled_loss(hidden, y, drawn, log_expected, rows, biases):
    """Return the cross-entropy over each row's target and the negatives that the batch shares.

    The log expected counts are taken off the negatives' logits, and a row's own class among the negatives is masked.

    Parameters
    ----------
    hidden : tensor (n, hidden size)
    y : tensor of int64 (n,), the targets
    drawn, log_expected : tensors (n_negatives,), the negatives and their log expected counts
    rows, biases : torch.nn.Embedding (n_classes, hidden size) and (n_classes, 1), the class weights
    """
    import torch

    both, n = (
        torch.cat([y, drawn]),
        len(y),
    )  # one look-up for targets and negatives, so that there is one sparse gradient
    v, b = rows(both), biases(both).squeeze(1)
    of_target = (hidden * v[:n]).sum(dim=1, keepdim=True) + b[:n, None]
    of_drawn = torch.addmm(b[n:] - log_expected, hidden, v[n:].T)
    of_drawn = of_drawn.masked_fill(drawn == y[:, None], -torch.inf)
    logits = torch.cat([of_target, of_drawn], dim=1)
    return torch.nn.functional.cross_entropy(logits, torch.zeros(n, dtype=torch.int64))


SYSTEMS = (Full, Sampled)
