"""PyTorch on the CPU or a GPU: a worker of `benchmarks/train.py` and `gpu.py` (see worker.py).

The networks compute what Keras' do: "same" padding at stride 2 is one row and column more at the bottom and right,
and Flatten runs over height, width, channels. Where PyTorch offers a faster way to the same losses, it is taken:
Flatten without a copy, LeakyReLU in place, class numbers instead of one-hot rows, the cross-entropy from logits, Adam
in one fused call.
"""

from __future__ import annotations

import functools

import numpy as np
import worker

WARM_UP_STEPS = 3  # before a capture: libraries allocate and choose their algorithms


class Torch(worker.System):
    modes = {
        "": "eager, contiguous, fused Adam",
        "channels-last": "eager, channels_last, fused Adam",
        "compile": "torch.compile of the network and its loss, channels_last, fused Adam",
        # of gpu.py
        "tf32": "eager, channels_last, TF32, fused Adam",
        "bf16": "eager, channels_last, autocast to bfloat16, fused Adam",
        "graph-tf32": "channels_last, TF32, fused Adam; the whole step in one CUDA graph",
        "graph-bf16": "channels_last, autocast to bfloat16, fused Adam; the whole step in one CUDA graph",
        "compile-tf32": 'torch.compile(mode="reduce-overhead") of network and loss, channels_last, TF32, fused Adam',
        "compile-bf16": 'torch.compile(mode="reduce-overhead") of network and loss, channels_last, autocast to bf16',
    }

    def begin(self, threads):
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.torch = torch
        if self.device == "cuda":
            if not torch.cuda.is_available():
                raise worker.Unavailable("PyTorch finds no GPU")
            torch.backends.cudnn.benchmark = True
            if self.switched_on("tf32"):
                torch.set_float32_matmul_precision("high")  # convolutions may use TF32 anyway
        if self.switched_on("compile"):
            try:
                torch.compile(lambda x: x + 1)(torch.ones(8, device=self.device))
            except Exception as error:
                reason = str(error).strip().splitlines()[0]
                raise worker.Unavailable(f"torch.compile fails here: {reason}") from error
        return {"torch": torch.__version__, "numpy": np.__version__}

    def setup(self, **arguments):
        answer = super().setup(**arguments)
        self.torch.compiler.reset()  # else the models of earlier setups count against its limit of recompilations
        self.trained = None
        return answer

    def switched_on(self, name):
        return name in self.variant.split("-")

    @property
    def channels_last(self):
        return self.variant != ""

    def layout(self, x):
        return x if self.channels_last else np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def view(self, x):
        """Images as PyTorch takes them, without a copy: NHWC permuted to (N, C, H, W) is its channels_last."""
        return x.permute(0, 3, 1, 2) if self.channels_last else x

    def tensors(self, x, y):
        images, labels = self.resident(x, y)
        return self.view(images), labels

    def resident(self, x, y):
        """Images in the layout of `view`'s argument and class numbers, on the device."""
        return tuple(self.torch.from_numpy(a).to(self.device) for a in (x, y.argmax(axis=1)))

    def build(self, dropout):
        """Return a function (x, y) -> loss, logits that takes one training step, the network and the optimizer."""
        torch = self.torch
        model = network(torch, self.network, dropout, self.channels_last)
        load_weights(torch, model, self.weights, self.channels_last)
        model.to(self.device)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)
        graph, on_gpu = self.switched_on("graph"), self.device == "cuda"
        adam = functools.partial(torch.optim.Adam, lr=self.learning_rate, eps=1e-7, fused=True, capturable=graph)
        optimizer = adam(model.parameters())
        model.train()

        def forward(x, y):
            logits = model(x)
            return torch.nn.functional.cross_entropy(logits, y), logits

        def mixed(x, y):
            with torch.autocast(self.device, torch.bfloat16, cache_enabled=False):  # no weight is used twice
                return forward(x, y)

        loss_of = mixed if self.switched_on("bf16") else forward
        if self.switched_on("compile"):
            loss_of = torch.compile(loss_of, dynamic=False, mode="reduce-overhead" if on_gpu else None)

        def step(x, y):
            if on_gpu:
                torch.compiler.cudagraph_mark_step_begin()
            loss, logits = loss_of(x, y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            return loss.detach(), logits.detach()

        return self.captured(step, model, optimizer) if graph else step, model, optimizer

    def captured(self, step, model, optimizer):
        """`step` as one CUDA graph; the weights and the optimizer are as before."""
        torch = self.torch
        x, y = (a.clone() for a in self.tensors(*self.batches(1)[0]))
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_STEPS):
                step(x, y)
        torch.cuda.current_stream().wait_stream(side)
        model.load_state_dict(weights)
        for state in optimizer.state.values():
            for value in state.values():
                value.zero_()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss, logits = step(x, y)

        def replay(its_x, its_y):
            x.copy_(its_x)
            y.copy_(its_y)
            graph.replay()
            return loss, logits

        return replay

    def training(self):
        """A step with dropout, compiled once for all that is timed."""
        if self.trained is None:
            self.trained, _, _ = self.build(dropout=0.5)
        return self.trained

    def losses(self, steps):
        train, _, optimizer = self.build(dropout=0.0)
        found = []
        for step, (x, y) in enumerate(self.batches(steps), 1):
            # PyTorch adds epsilon after the bias correction, Keras before; with this one the formulas are the same (but
            # for a captured step, which keeps its own).
            optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**step) ** 0.5
            loss, _ = train(*self.tensors(x, y))
            found.append(float(loss))
        return {"losses": found}

    def prepare_fit(self):
        """A shuffled epoch that keeps the running loss and accuracy, as Keras' `fit` does."""
        train, _, _ = self.build(dropout=0.5)

        def run(steps):
            x, y = self.data(steps)
            images, labels = self.torch.from_numpy(x), self.torch.from_numpy(y.argmax(axis=1))
            total_loss = total_right = 0
            order = self.torch.randperm(len(images))
            for index in order.split(self.batch_size):
                x, y = self.view(images[index]), labels[index]
                loss, logits = train(x, y)
                total_loss = total_loss + loss * len(index)
                total_right = total_right + (logits.argmax(dim=1) == y).sum()
            return float(total_loss) / len(order), float(total_right) / len(order)

        return run

    def prepare_epoch(self):
        """Shuffled epochs of images that stay on the device, without a smaller last batch; loss and accuracy are read
        at the end."""
        torch, train = self.torch, self.training()
        images, labels = self.resident(*self.epoch_data())
        count = len(labels) - len(labels) % self.batch_size
        # What a CUDA graph returns, the next replay writes over.
        keep = torch.clone if self.switched_on("graph") or self.switched_on("compile") else lambda tensor: tensor

        def epoch():
            order = torch.randperm(len(labels), device=self.device)[:count]
            x, y, losses, logits = images[order], labels[order], [], []
            for its_x, its_y in zip(x.split(self.batch_size), y.split(self.batch_size), strict=True):
                loss, its_logits = train(self.view(its_x), its_y)
                losses.append(keep(loss))
                logits.append(keep(its_logits))
            return float(torch.stack(losses).mean()), float((torch.cat(logits).argmax(dim=1) == y).float().mean())

        return worker.each(epoch)

    def prepare_step(self):
        train = self.training()
        batches = [self.tensors(x, y) for x, y in self.batches()]

        def run(steps):
            for x, y in worker.in_turn(batches, steps):
                loss, _ = train(x, y)
            return float(loss)

        return run

    def prepare_predict(self):
        """From a NumPy array to a NumPy array, as the others' `predict`."""
        torch = self.torch
        _, model, _ = self.build(dropout=0.5)
        model.eval()
        forward = torch.compile(model, dynamic=False) if self.switched_on("compile") else model
        x, _ = self.batches(1)[0]

        @torch.inference_mode()
        def predict():
            return torch.softmax(forward(self.view(torch.from_numpy(x))), dim=1).numpy()

        return worker.repeat(predict)


def network(torch, name, dropout, channels_last):
    """The network `name` with Keras' padding, from (N, C, H, W) images to logits."""
    nn = torch.nn

    class FlattenChannelsLast(nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1).flatten(1)

    class BatchNorm1d(nn.BatchNorm1d):
        """Trains on a batch of one, too, as Keras' does: torch.nn and torch.compile refuse it, the kernel does not."""

        def forward(self, x):
            return self.one(x) if self.training and len(x) == 1 else super().forward(x)

        @torch.compiler.disable
        def one(self, x):
            running = self.running_mean, self.running_var
            return torch.batch_norm(x, self.weight, self.bias, *running, True, self.momentum, self.eps, False)

    flatten = FlattenChannelsLast() if channels_last else nn.Flatten()

    def conv(channels, filters, size, stride):
        if stride == 2 and size == 3:
            return [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, filters, size, stride)]
        return [nn.Conv2d(channels, filters, size, stride, padding=(size - 1) // 2)]

    def uncounted(norm):
        norm.num_batches_tracked = None  # with a momentum nobody reads it, and counting is one more kernel
        return norm

    def normalized(norm):
        return [norm, nn.LeakyReLU(0.3, inplace=True)]

    if name == "mlp":
        parts = [flatten, nn.Linear(3072, 200), nn.ReLU(), nn.Linear(200, 150), nn.ReLU()]
        return nn.Sequential(*parts, nn.Linear(150, 10))
    if name == "conv":
        parts = [*conv(3, 10, 4, 2), *conv(10, 20, 3, 2), flatten]
        return nn.Sequential(*parts, nn.Linear(1280, 10))
    if name == "resnet20":
        return residual_network(nn, conv, uncounted)
    if name != "cnn":
        raise ValueError(f'network must be "mlp", "conv", "cnn" or "resnet20". Received: {name!r}')
    parts, channels = [], 3
    for filters, stride in ((32, 1), (32, 2), (64, 1), (64, 2)):
        norm = uncounted(nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01))
        parts += [*conv(channels, filters, 3, stride), *normalized(norm)]
        channels = filters
    parts += [flatten, nn.Linear(4096, 128), *normalized(uncounted(BatchNorm1d(128, eps=1e-3, momentum=0.01)))]
    if dropout:
        parts.append(nn.Dropout(dropout))
    return nn.Sequential(*parts, nn.Linear(128, 10))


def residual_network(nn, conv, uncounted):
    """`resnet20` of fastconv; its modules are in the order of Keras' weights."""

    def convolution(channels, filters, stride, size=3):
        *padding, convolution = conv(channels, filters, size, stride)
        convolution.bias = None
        return nn.Sequential(*padding, convolution)

    def norm(filters):
        return uncounted(nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01))

    class Block(nn.Module):
        def __init__(self, channels, filters, stride):
            super().__init__()
            self.conv1, self.norm1 = convolution(channels, filters, stride), norm(filters)
            self.conv2 = convolution(filters, filters, 1)
            self.shortcut = convolution(channels, filters, stride, size=1) if stride > 1 else nn.Identity()
            self.norm2, self.relu = norm(filters), nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
            return self.relu(y.add_(self.shortcut(x)))

    sizes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    blocks = [Block(*size) for size in sizes]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(convolution(3, 16, 1), norm(16), nn.ReLU(inplace=True), *blocks, *head)


def load_weights(torch, model, weights, channels_last):
    """Copy Keras' list of weights: HWIO and (in, out) kernels are transposed, BatchNorm takes its four in order.

    Without channels_last, Flatten runs over channels, height, width: the rows of the kernel after it are put so.
    """
    remaining = iter(weights)
    channels = None if channels_last else 3  # of what Flatten meets
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, torch.nn.Conv2d):
                tensors, arrays = [part.weight], [next(remaining).transpose(3, 2, 0, 1)]
                if part.bias is not None:
                    tensors, arrays = [*tensors, part.bias], [*arrays, next(remaining)]
                channels = channels and part.out_channels
            elif isinstance(part, torch.nn.Linear):
                kernel = next(remaining)
                if channels:
                    kernel = kernel.reshape(-1, channels, part.out_features).swapaxes(0, 1).reshape(kernel.shape)
                    channels = None
                tensors, arrays = (part.weight, part.bias), (kernel.T, next(remaining))
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
