"""What every network has to do, tested once; each network's test class inherits it in a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from StrokeSegLib.networks import build_network


class NetworkContract:
    """Subclasses name the key, tiny settings and the input's shape."""

    key: ClassVar[str]
    settings: ClassVar[dict[str, Any]]
    shape: ClassVar[tuple[int, ...]]  # (B, C, ...)
    out_channels: ClassVar[int]

    def build(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return build_network(self.key, self.settings)

    def example(self) -> torch.Tensor:
        return torch.randn(self.shape, generator=torch.Generator().manual_seed(1))

    def test_output_has_the_input_size_and_one_channel_a_class(self) -> None:
        with torch.inference_mode():
            y = self.build().eval()(self.example())
        assert y.shape == (self.shape[0], self.out_channels, *self.shape[2:])
        assert torch.isfinite(y).all()

    def test_every_parameter_gets_a_gradient(self) -> None:
        net = self.build().train()
        # Squares, so that no gradient vanishes by symmetry.
        net(self.example()).square().sum().backward()
        dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().any()]
        assert dead == []

    def test_weights_survive_saving_and_loading(self, tmp_path: Path) -> None:
        net = self.build().eval()
        save_file(net.state_dict(), tmp_path / "w.safetensors")
        torch.manual_seed(5)
        other = build_network(self.key, self.settings).eval()
        other.load_state_dict(load_file(tmp_path / "w.safetensors"))
        with torch.inference_mode():
            assert torch.equal(net(self.example()), other(self.example()))

    def test_channels_last_gives_the_same_answer(self) -> None:
        net, x = self.build().eval(), self.example()
        with torch.inference_mode():
            plain = net(x)
            last = net.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
        assert torch.allclose(plain, last, atol=1e-4)

    def test_bf16_agrees_to_its_precision(self) -> None:
        net, x = self.build().eval(), self.example()
        with torch.inference_mode():
            plain = net(x)
            with torch.autocast("cpu", torch.bfloat16):
                half = net(x).float()
        assert (plain - half).abs().max() < 0.1 * plain.abs().max().clamp(min=1)

    def test_a_wrong_size_is_refused_and_the_right_one_named(self) -> None:
        shape = list(self.shape)
        shape[-1] += 1
        with pytest.raises(ValueError, match="pad to"):
            self.build().eval()(torch.zeros(shape))
