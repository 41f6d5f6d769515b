"""`checkpoint`: a folder of Hugging Face, `config.json` beside safetensors files, or `hf:organisation/name@revision`.

The class is the one of transformers that the configuration names; code that lies in the folder is never run, pickles
are not read, and nothing is left to chance: a weight that no file holds is an error. The model computes in the type
that the weights are stored in. Inputs have extents by the configuration, or by `--shape`; outputs are the tensors among
what the class returns.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import CheckpointError, UsageError
from steelyard.core.hashing import file_sha256
from steelyard.core.reason import reason_of
from steelyard.core.workload import DType, Program, TensorSpec, Weights
from steelyard.lowering import plain
from steelyard.lowering.own.files import known_dtype
from steelyard.lowering.own.inputs import seeded
from steelyard.lowering.own.modules import OwnModule, state_of
from steelyard.lowering.own.references import tensors_of
from steelyard.lowering.weights import FILE

if TYPE_CHECKING:
    import torch

_HERE = "steelyard.sources.checkpoint"
_HUB = r"hf:(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?"
_CONFIG, _ONE, _INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_TOKENS = 128
_LEFT_OUT = re.compile(
    r"_.*|architectures|auto_map|attn_implementation|dtype|torch_dtype|transformers_version|use_cache"
)
"""Of a configuration: what names code to load, and what is decided here."""


def build(*, in_place: bool, between: Mapping[str, Any], **arguments: Any) -> "torch.nn.Module":
    """See `steelyard.lowering.plain.build`."""
    del between
    return plain.build(in_place=in_place, **arguments)


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """The weights as the class of transformers reads them. Raises CheckpointError for files that were changed."""
    from safetensors.torch import save_file

    folder = _downloaded(*arguments["hub"]) if arguments["hub"] else local
    if folder is None:
        raise CheckpointError("the checkpoint of this configuration is not given: name it with --model")
    if _digests(folder) != arguments["files"]:
        raise CheckpointError(f"{folder}: not the checkpoint that was looked at before: it was changed")
    state = state_of(_loaded(folder, arguments["model"], arguments["config"], arguments["dtype"]))
    save_file({f"model.{name}": tensor for name, tensor in state.items()}, directory / FILE, metadata={"format": "pt"})


class _Checkpoint(OwnModule):
    name = "checkpoint"
    packages = ("torch", "transformers", "safetensors", "numpy")
    marker = _CONFIG
    pattern = _HUB
    example = "is a model of Hugging Face, hf:organisation/name@revision"

    def program_of(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Program:
        """See `Source`. What comes out is read off one call."""
        hub: list[str] = []
        if named := re.fullmatch(_HUB, str(path)):
            hub = [named["name"], named["revision"] or "main"]
            path = _downloaded(*hub)
            hub[1] = path.name  # the commit that the revision stands for
        model, config = _configured(path)
        files, dtype = _digests(path), _stored_in(path)
        inputs, between = _inputs(path, model, config, dtype, shapes)
        module = _loaded(path, model, config, dtype)
        kind: dict[str, Any] = {"model": model, "config": config, "dtype": dtype}
        draft = Program(
            name=hub[0].rpartition("/")[2] if hub else path.name,
            source=f"{_HERE}:build",
            arguments={**kind, "inputs": [spec.name for spec in inputs], "between": between},
            weights=Weights(
                source=f"{_HERE}:write", arguments={**kind, "files": files, "hub": hub}, origin="checkpoint"
            ),
            dtype=dtype,
            inputs=inputs,
            outputs=(),
            kind=self.name,
        )
        outputs = _outputs(path, draft, module)
        arguments = {**draft.arguments, "outputs": [spec.name for spec in outputs]}
        return replace(draft, arguments=arguments, outputs=outputs)


def _downloaded(name: str, revision: str) -> Path:
    """The folder of a model of the hub, its configuration and safetensors files alone."""
    try:
        from huggingface_hub import snapshot_download

        wanted = ["config.json", "*.safetensors", "*.safetensors.index.json"]
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except Exception as error:  # whatever its client raises
        raise CheckpointError(f"hf:{name}@{revision} cannot be had: {reason_of(error)}") from error


def _configured(path: Path) -> tuple[str, dict[str, Any]]:
    """The class of transformers, and its configuration without what names code."""
    import transformers

    try:
        config = json.loads((path / _CONFIG).read_text())
        (name, *_) = config["architectures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path.name}: its {_CONFIG} names no class in 'architectures': {error!r}") from error
    kind = getattr(transformers, str(name), None)
    if not isinstance(kind, type) or not issubclass(kind, transformers.PreTrainedModel):
        raise CheckpointError(
            f"{path.name}: its class '{name}' is none of transformers {transformers.__version__}, and code that comes "
            "with a model is not run: give a function that makes it, --model package.module:function"
        )
    if "quantization_config" in config:
        raise CheckpointError(
            f"{path.name}: its weights are quantized, which is not measured here: give them as floats"
        )
    return str(name), {key: value for key, value in config.items() if not _LEFT_OUT.fullmatch(key)}


def _shards(path: Path) -> list[Path]:
    """The safetensors files. Raises CheckpointError where there are none, or an index names files elsewhere."""
    if (path / "adapter_config.json").exists():
        raise CheckpointError(f"{path.name}: an adapter and no whole model: merge it into its model and save that")
    names = [_ONE]
    if (path / _INDEX).is_file():
        try:
            names = sorted(set(json.loads((path / _INDEX).read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise CheckpointError(f"{path.name}: its {_INDEX} is not one of safetensors: {error!r}") from error
    for name in names:
        if not re.fullmatch(r"[\w.-]+\.safetensors", str(name)):
            raise CheckpointError(f"{path.name}: its {_INDEX} names '{name}', which is no safetensors file beside it")
        if not (path / name).is_file():
            pickled = sorted(each.name for each in path.glob("*.bin")) + sorted(each.name for each in path.glob("*.pt"))
            told = f"; {pickled[0]} is a pickle, which is not read: save the model with safetensors" if pickled else ""
            raise CheckpointError(f"{path.name}: it holds no {name}{told}")
    return [path / name for name in names]


def _digests(path: Path) -> dict[str, str]:
    return {file.name: file_sha256(file) for file in (path / _CONFIG, *_shards(path))}


def _stored_in(path: Path) -> DType:
    """The floating type that the first of the weights has."""
    from safetensors import SafetensorError, safe_open

    short = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    for file in _shards(path):
        try:
            with safe_open(str(file), framework="numpy") as opened:
                found = (opened.get_slice(name).get_dtype() for name in opened.keys())  # noqa: SIM118 (not a mapping)
                if (dtype := next((short[one] for one in found if one in short), None)) is not None:
                    return known_dtype(path, file.name, dtype)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path.name}: {file.name} is not a readable safetensors file: {error}") from error
    raise CheckpointError(f"{path.name}: none of its weights is of a floating-point type")


def _loaded(path: Path, model: str, config: Mapping[str, Any], dtype: str) -> Any:
    """The model of transformers with its weights. Raises CheckpointError where some have none."""
    import torch
    import transformers

    kind = getattr(transformers, model)
    try:
        settings = kind.config_class(**config)
        module, told = kind.from_pretrained(
            path,
            config=settings,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # whatever transformers says of a foreign checkpoint
        raise CheckpointError(f"{path.name}: transformers cannot load it as {model}: {reason_of(error)}") from error
    faults = [name for kind in ("missing_keys", "mismatched_keys") for name in sorted(map(str, told[kind]))]
    if faults:
        raise CheckpointError(
            f"{path.name}: {model} has {len(faults)} weights that the files do not, e.g. '{faults[0]}': give the class "
            "that was saved in 'architectures'"
        )
    return module.eval()


def _inputs(
    path: Path, model: str, config: Mapping[str, Any], dtype: DType, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[TensorSpec, ...], dict[str, list[int]]]:
    """The class's main input and those that have a shape; of whole ones, between which numbers they lie."""
    import inspect

    import transformers

    kind = getattr(transformers, model)
    known = inspect.signature(kind.forward).parameters
    wanted = dict.fromkeys([kind.main_input_name, *shapes])
    specs, between = [], {}
    for name in wanted:
        if name not in known:
            raise UsageError(f"--shape {name}: {model} has no such input: it takes {', '.join(list(known)[1:8])}, ...")
        shape = shapes.get(name) or _shape(name, config)
        if shape is None:
            raise UsageError(
                f"{path.name}: the extents of '{name}' are not in its configuration: give --shape {name}=..."
            )
        whole = name.endswith(("_ids", "_mask"))
        specs.append(TensorSpec(name=name, shape=shape, dtype="int64" if whole else dtype))
        if name.endswith("input_ids"):
            between[name] = [0, int(config.get("vocab_size", 2)) - 1]
        elif name.endswith("_mask"):
            between[name] = [1, 1]
    return tuple(specs), between


def _shape(name: str, config: Mapping[str, Any]) -> tuple[int, ...] | None:
    if name == "input_ids":
        return 1, min(_TOKENS, int(config.get("max_position_embeddings", _TOKENS)))
    size = config.get("image_size")
    if name == "pixel_values" and size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        return 1, int(config.get("num_channels", 3)), int(height), int(width)
    return None


def _outputs(path: Path, program: Program, module: Any) -> tuple[TensorSpec, ...]:
    import torch

    given = tensors_of(program, seeded(program, 0))
    try:
        with torch.no_grad():
            returned: Mapping[str, Any] = module(**given, return_dict=True)
    except Exception as error:  # whatever the class raises
        told = f"{path.name}: {type(module).__name__} fails with {_told(program.inputs)}: {reason_of(error)}"
        raise UsageError(f"{told}; give further inputs, or other extents, with --shape") from error
    found = {name: value for name, value in returned.items() if isinstance(value, torch.Tensor)}
    if not found:
        raise CheckpointError(f"{path.name}: {type(module).__name__} returns no tensor but {', '.join(returned)}")
    return tuple(
        TensorSpec(name=name, shape=tuple(value.shape), dtype=known_dtype(path, name, str(value.dtype)[6:]))
        for name, value in found.items()
    )


def _told(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.declared}" for spec in specs)


SOURCE = _Checkpoint()
