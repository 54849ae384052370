"""PyTorch on the CPU, eager, channels_last: a worker of `benchmarks/train.py` (see worker.py).

The networks compute what Keras' do: "same" padding at stride 2 is one row and column more at the bottom and right,
and Flatten runs over height, width, channels. Where PyTorch offers a faster way to the same losses, it is taken:
channels_last (convolutions and Flatten without copies), LeakyReLU in place, class numbers instead of one-hot rows,
the cross-entropy from logits, Adam in one fused call.
"""

from __future__ import annotations

import numpy as np
import worker


class Torch(worker.System):
    mode = "eager, channels_last, fused Adam"

    def begin(self, threads):
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.torch = torch
        return {"torch": torch.__version__, "numpy": np.__version__}

    def setup(self, **arguments):
        answer = super().setup(**arguments)
        # NHWC in memory; permuted to (N, C, H, W) it is what PyTorch calls channels_last.
        self.images = self.torch.from_numpy(self.x)
        self.labels = self.torch.from_numpy(self.y.argmax(axis=1))
        return answer

    def build(self, dropout):
        torch = self.torch
        model = network(torch, self.network, dropout).to(memory_format=torch.channels_last)
        load_weights(torch, model, self.weights)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.learning_rate, eps=1e-7, fused=True)
        model.train()
        return model, optimizer

    def train_step(self, model, optimizer, x, y):
        logits = model(x)
        loss = self.torch.nn.functional.cross_entropy(logits, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach(), logits.detach()

    def batch(self, index):
        return self.images[index].permute(0, 3, 1, 2), self.labels[index]

    def losses(self, steps):
        model, optimizer = self.build(dropout=0.0)
        found = []
        for step, start in enumerate(range(0, steps * self.batch_size, self.batch_size), 1):
            # PyTorch adds epsilon after the bias correction, Keras before; with this one the formulas are the same.
            optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**step) ** 0.5
            loss, _ = self.train_step(model, optimizer, *self.batch(slice(start, start + self.batch_size)))
            found.append(float(loss))
        return {"losses": found}

    def fit(self, model):
        """A shuffled epoch that keeps the running loss and accuracy, as Keras' `fit` does."""
        total_loss = total_right = 0
        order = self.torch.randperm(len(self.images))
        for index in order.split(self.batch_size):
            x, y = self.batch(index)
            loss, logits = self.train_step(*model, x, y)
            total_loss = total_loss + loss * len(index)
            total_right = total_right + (logits.argmax(dim=1) == y).sum()
        return float(total_loss) / len(order), float(total_right) / len(order)

    def prepare_steps(self, model):
        starts = range(0, len(self.images), self.batch_size)
        return [self.batch(slice(start, start + self.batch_size)) for start in starts]

    def steps(self, model, prepared):
        for x, y in prepared:
            loss, _ = self.train_step(*model, x, y)
        return float(loss)


def network(torch, name, dropout):
    """The network `name` with Keras' padding, from (N, C, H, W) images in channels_last to logits."""
    nn = torch.nn

    class FlattenChannelsLast(nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1).flatten(1)

    def conv(channels, filters, size, stride):
        if stride == 2 and size == 3:
            return [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, filters, size, stride)]
        return [nn.Conv2d(channels, filters, size, stride, padding=(size - 1) // 2)]

    def normalized(norm):
        return [norm, nn.LeakyReLU(0.3, inplace=True)]

    if name == "mlp":
        parts = [FlattenChannelsLast(), nn.Linear(3072, 200), nn.ReLU(), nn.Linear(200, 150), nn.ReLU()]
        return nn.Sequential(*parts, nn.Linear(150, 10))
    if name == "conv":
        parts = [*conv(3, 10, 4, 2), *conv(10, 20, 3, 2), FlattenChannelsLast()]
        return nn.Sequential(*parts, nn.Linear(1280, 10))
    if name != "cnn":
        raise ValueError(f'network must be "mlp", "conv" or "cnn". Received: {name!r}')
    parts, channels = [], 3
    for filters, stride in ((32, 1), (32, 2), (64, 1), (64, 2)):
        norm = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)
        parts += [*conv(channels, filters, 3, stride), *normalized(norm)]
        channels = filters
    parts += [FlattenChannelsLast(), nn.Linear(4096, 128), *normalized(nn.BatchNorm1d(128, eps=1e-3, momentum=0.01))]
    if dropout:
        parts.append(nn.Dropout(dropout))
    return nn.Sequential(*parts, nn.Linear(128, 10))


def load_weights(torch, model, weights):
    """Copy Keras' list of weights: HWIO and (in, out) kernels are transposed, BatchNorm takes its four in order."""
    remaining = iter(weights)
    with torch.no_grad():
        for part in model:
            if isinstance(part, (torch.nn.Conv2d, torch.nn.Linear)):
                kernel = next(remaining)
                axes = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
                tensors, arrays = (part.weight, part.bias), (kernel.transpose(axes), next(remaining))
            elif isinstance(part, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                tensors = part.weight, part.bias, part.running_mean, part.running_var
                arrays = [next(remaining) for _ in tensors]
            else:
                continue
            for tensor, array in zip(tensors, arrays, strict=True):
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    if next(remaining, None) is not None:
        raise ValueError(f"the network takes fewer weights than were given. Received: {len(weights)} arrays")


if __name__ == "__main__":
    worker.serve(Torch())
