"""The suite `train`: the step is that of PyTorch's own optimizers, in float64 and in place."""

import itertools
import math
from typing import Any

import pytest

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.workload import Point, Selection
from steelyard.lowering.points import points_of

SUITE = plugins.suite("train")
MODELS = ("gpt2", "resnet50", "dlrm")


def point(model: str = "gpt2", size: str = "tiny", **axes: tuple[str, ...]) -> Point:
    (found,) = points_of(SUITE, Selection(device_kind="cpu", size=size, workloads=(model,), axes=axes))
    return found


def test_parameters_are_state_on_both_sides_and_counted() -> None:
    found = point()
    program = found.programs["main"]
    carried = [spec.name for spec in program.inputs if spec.role == "state"]
    assert carried == [spec.name for spec in program.outputs if spec.role == "state"]
    count = sum(math.prod(spec.shape) for spec in program.state if spec.name.startswith("parameter."))
    assert found.work.weight_bytes == 4 * count
    assert len(carried) == 3 * 28 + 1
    assert len(point(optimizer=("sgd",)).programs["main"].state) == 2 * 28
    with pytest.raises(UsageError, match="length"):
        point(length=("1",))


@pytest.mark.parametrize(
    ("model", "parameters", "forward_of_one"),
    # Radford et al., 2019; torchvision's ResNet-50, whose published count of operations has products and sums as one.
    [("gpt2", 124_439_808, None), ("resnet50", 25_557_032, 2 * 4.089e9)],
)
def test_full_has_the_published_number_of_parameters(model: str, parameters: int, forward_of_one: float | None) -> None:
    found = point(model, "full")
    assert found.work.weight_bytes == 4 * parameters
    if forward_of_one is not None:
        assert found.work.flop == pytest.approx(3 * 64 * forward_of_one, rel=0.01)


def test_running_statistics_are_state_and_no_parameters() -> None:
    state = [spec.name for spec in point("resnet50").programs["main"].state]
    statistics = [name for name in state if name.startswith("statistic.")]
    assert statistics[:2] == ["statistic.stem.mean", "statistic.stem.variance"]
    assert len(statistics) == 2 * sum(name.startswith("parameter.") and name.endswith(".kernel") for name in state)
    assert not any(name.startswith("statistic.") for name in (s.name for s in point("dlrm").programs["main"].state))


class Gpt2:
    """transformers' own loss."""

    def __init__(self, at: Any) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        geometry = {name: at[name] for name in ("n_layer", "n_embd", "n_head", "vocab_size", "n_positions")}
        self.module = GPT2LMHeadModel(GPT2Config(**geometry, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))

    def named(self) -> Any:
        return self.module.named_parameters()

    def loss(self, input_ids: Any) -> Any:
        return self.module(input_ids, labels=input_ids).loss


class ResNet:
    """transformers' ResNet, whose bottleneck blocks have the stride where ours have it."""

    def __init__(self, at: Any) -> None:
        from transformers import ResNetConfig, ResNetForImageClassification

        widths = [4 * at["stem"] << stage for stage in range(len(at["depths"]))]
        config = ResNetConfig(
            embedding_size=at["stem"], hidden_sizes=widths, depths=at["depths"], num_labels=at["classes"]
        )
        self.module = ResNetForImageClassification(config)

    def _places(self) -> Any:
        """Each convolution of ours with the module that is convolution and normalisation in theirs."""
        resnet = self.module.resnet
        yield "stem", resnet.embedder.embedder
        for stage, layers in enumerate(resnet.encoder.stages, start=1):
            for number, block in enumerate(layers.layers):
                for name, layer in zip(("reduce", "middle", "expand"), block.layer, strict=True):
                    yield f"stage{stage}.{number}.{name}", layer
                if hasattr(block.shortcut, "convolution"):
                    yield f"stage{stage}.{number}.around", block.shortcut

    def named(self) -> Any:
        for name, layer in self._places():
            yield f"{name}.kernel", layer.convolution.weight
            yield f"{name}.weight", layer.normalization.weight
            yield f"{name}.bias", layer.normalization.bias
        head = self.module.classifier[-1]
        yield from (("head.weight", head.weight), ("head.bias", head.bias))

    def statistics(self) -> Any:
        for name, layer in self._places():
            yield f"{name}.mean", layer.normalization.running_mean
            yield f"{name}.variance", layer.normalization.running_var

    def loss(self, images: Any, labels: Any) -> Any:
        import torch

        return torch.nn.functional.cross_entropy(self.module(images).logits, labels)


class Dlrm:
    """The model of the suite `recsys`, whose score is a probability."""

    def __init__(self, at: Any) -> None:
        from steelyard.suites import recsys

        geometry = {name: at[name] for name in ("tables", "rows", "dim", "bottom", "top")}
        self.module = recsys.dlrm(in_place=False, **geometry, dtype="float32").to_empty(device="cpu")
        tables = at["tables"]
        pairs = [n * (tables + 1) + m for n in range(1, tables + 1) for m in range(n)]
        self.module.pairs.copy_(self.module.pairs.new_tensor(pairs))
        self.module.requires_grad_(True)

    def named(self) -> Any:
        for number, table in enumerate(self.module.tables):
            yield f"table.{number}.weight", table.weight
        for name in ("bottom", "top"):
            layers = [layer for layer in getattr(self.module, name) if hasattr(layer, "weight")]
            for number, layer in enumerate(layers):
                yield f"{name}.{number}.weight", layer.weight
                yield f"{name}.{number}.bias", layer.bias

    def loss(self, dense: Any, rows_in: Any, clicked: Any) -> Any:
        import torch

        (score,) = self.module(dense, rows_in)
        return torch.nn.functional.binary_cross_entropy(score, clicked.double())


def trained(found: Point, entries: Any) -> tuple[list[float], dict[str, Any]]:
    """Loss of each step and the final state, by the model of others and PyTorch's own optimizer, in float64."""
    import torch

    arguments = found.programs["main"].arguments
    model: Any = {"gpt2": Gpt2, "resnet50": ResNet, "dlrm": Dlrm}[found.workload](arguments["at"])
    module = model.module.double().train()
    with torch.no_grad():
        for name, parameter in model.named():
            parameter.copy_(entries[0].inputs[f"parameter.{name}"])
    kind: Any = {
        "sgd": lambda given: torch.optim.SGD(given, lr=1e-3, momentum=0.9),
        "adamw": lambda given: torch.optim.AdamW(given, lr=1e-3, eps=1e-7, weight_decay=0.01),
    }[str(found.axes["optimizer"])]
    optimizer, losses = kind(module.parameters()), []
    for entry in entries:
        data = [
            value.double() if value.is_floating_point() else value
            for name, value in entry.inputs.items()
            if "." not in name and name != "step"
        ]
        optimizer.zero_grad()
        loss = model.loss(*data)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    state = {f"parameter.{name}": value.detach() for name, value in model.named()}
    if isinstance(model, ResNet):
        state |= {f"statistic.{name}": value for name, value in model.statistics()}
    return losses, state


@pytest.mark.backends
@pytest.mark.parametrize(("model", "optimizer"), [*itertools.product(MODELS, ["sgd", "adamw"])])
def test_the_step_is_pytorchs_own(model: str, optimizer: str) -> None:
    import torch
    from steelyard.suites.train import step

    found = point(model, optimizer=(optimizer,))
    program = found.programs["main"]
    exact = step.build(in_place=False, **{**program.arguments, "dtype": "float64"})
    entries = step.make(found, {"main": exact}, None, 3)
    losses, right = trained(found, entries)
    # Losses of transformers are float32.
    assert [float(entry.references["loss"]) for entry in entries] == pytest.approx(losses, rel=1e-6)

    def apart(group: str, flat: Any) -> float:
        wanted = torch.cat([right[s.name].reshape(-1) for s in program.state if s.name.startswith(group)])
        return float(torch.linalg.norm(flat - wanted) / torch.linalg.norm(wanted))

    last = entries[-1].references
    assert apart("parameter.", last["parameters"]) < 1e-6
    assert ("statistics" in last) == (model == "resnet50")
    if "statistics" in last:
        assert apart("statistic.", last["statistics"]) < 1e-6

    # In place: the tensors that were passed hold what the functional step returns.
    names = [spec.name for spec in program.state]
    held = [entries[0].inputs[name].clone() for name in names]
    with torch.no_grad():
        built = step.build(in_place=True, **program.arguments)
        for entry in entries:
            data = [entry.inputs[spec.name] for spec in program.inputs if spec.role == "data"]
            loss, *state = built(*data, *held)
            assert all(one is other for one, other in zip(state, held, strict=True))
            assert float(loss) == pytest.approx(float(entry.references["loss"]), rel=1e-5)
    flat = torch.cat([v.reshape(-1).double() for v, n in zip(held, names, strict=True) if n.startswith("parameter.")])
    assert apart("parameter.", flat) < 1e-4
