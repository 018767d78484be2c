"""Find and load pretrained weights: a local safetensors file first, the hub only when asked for.

`weights` in a backbone's config is "none", "imagenet", or a path. "imagenet" means the file
`NAME.safetensors` in the first of the search folders that has it, else the library's own hub.
A file that does not fit raises; nothing falls back to random numbers in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sightline.errors import UserError


def find_weights(name: str, weights: str, folders: Sequence[Path]) -> Path | None:
    """The file that `weights` means, or None for the hub.

    Raises:
        UserError: a path was given and no file lies there.
    """
    if weights == "imagenet":
        candidates = [folder / f"{name}.safetensors" for folder in folders]
        return next((path for path in candidates if path.is_file()), None)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise UserError(
            f"backbone.weights names {path}, which is no file. Give a safetensors file, 'imagenet' or 'none'."
        )
    return path


def load_weights(module: nn.Module, path: Path, *, ignore: Sequence[str]) -> None:
    """Load a safetensors file into a module that must find every one of its tensors there.

    Args:
        module: the network; a single-channel first convolution takes the sum over colours.
        path: the file.
        ignore: prefixes of tensors that the file may hold and the module does not
            (classifier and the layers behind the last feature map).

    Raises:
        UserError: the file is damaged, lacks tensors, holds others, or shapes differ.
    """
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is not a readable safetensors file ({error}). Fetch it again.") from error
    own = module.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    extra = [key for key in state if key not in own and not key.startswith(tuple(ignore))]
    if missing or extra:
        raise UserError(
            f"{path} does not fit this backbone: {len(missing)} tensors are missing (first: {missing[:3]}), "
            f"{len(extra)} are unknown (first: {extra[:3]}). Check backbone.name against the file."
        )
    for key, value in own.items():
        if key in state:
            state[key] = _fit_channels(state[key], value)
            if state[key].shape != value.shape:
                raise UserError(
                    f"{path}: {key} has shape {tuple(state[key].shape)}, the backbone {tuple(value.shape)}."
                )
    module.load_state_dict({key: state.get(key, value) for key, value in own.items()})


def _fit_channels(given: Tensor, wanted: Tensor) -> Tensor:
    """Sum a colour filter over its channels where the network sees one channel."""
    if given.ndim == 4 and wanted.ndim == 4 and given.shape[1] == 3 and wanted.shape[1] == 1:
        return given.sum(dim=1, keepdim=True)
    return given


def grey_first_conv(module: nn.Module) -> None:
    """Replace the first convolution by one with a single input channel; its filters are summed over colours."""
    for parent in module.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv2d):
                assert child.padding_mode == "zeros" and not isinstance(child.padding, str), child
                grey = nn.Conv2d(
                    1,
                    child.out_channels,
                    child.kernel_size,  # type: ignore[arg-type]
                    stride=child.stride,  # type: ignore[arg-type]
                    padding=child.padding,  # type: ignore[arg-type]
                    dilation=child.dilation,  # type: ignore[arg-type]
                    bias=child.bias is not None,
                ).to(child.weight.device)
                with torch.no_grad():
                    grey.weight.copy_(child.weight.sum(dim=1, keepdim=True))
                    if child.bias is not None and grey.bias is not None:
                        grey.bias.copy_(child.bias)
                setattr(parent, name, grey)
                return
    raise UserError("This backbone has no convolution that could take a grey picture; use data.channels=3.")
