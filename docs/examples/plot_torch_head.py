"""
A head for a PyTorch model
==========================

The last layer of a PyTorch model over many classes costs the most memory: its logits are an array of rows x classes.
``fastsoftmax.torch.LinearCrossEntropy`` takes the place of ``nn.Linear`` and the loss after it, and never makes that
array.

It needs ``pip install "fastsoftmax[torch]"``. Where PyTorch is missing when these pages are built, the program is
shown without its output.
"""

# %%
# A network that tells which of 1,000 cells a point is in
# -------------------------------------------------------

import torch

from fastsoftmax.torch import LinearCrossEntropy

torch.manual_seed(0)
n_cells = 1000
centres = torch.rand(n_cells, 2)
waves = 20 * torch.randn(2, 32)


def batch(n=256):
    """Points near centres, as sines and cosines, and the numbers of their cells."""
    cell = torch.randint(n_cells, (n,))
    angles = (centres[cell] + 0.003 * torch.randn(n, 2)) @ waves
    return torch.cat([angles.sin(), angles.cos()], dim=1), cell


body = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU())
head = LinearCrossEntropy(64, n_cells)
optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=0.02)

# %%
# Train as usual
# --------------
# The head returns the loss; ``backward`` and the optimiser are PyTorch's.

losses = []
for _ in range(120):
    points, cell = batch()
    optimizer.zero_grad()
    loss = head(body(points), cell)
    loss.backward()
    optimizer.step()
    losses.append(float(loss.detach()))

points, cell = batch(1000)
class_ids, log_prob = head.topk(body(points), 3)
print(f"the true cell is the best of 1,000 for {(class_ids[:, 0] == cell).float().mean():.0%} of new points, ", end="")
print(f"among the best three for {(class_ids == cell[:, None]).any(dim=1).float().mean():.0%}")

# %%
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(losses)
ax.set(xlabel="step", ylabel="loss, nats")
ax.grid(alpha=0.3)
plt.show()
