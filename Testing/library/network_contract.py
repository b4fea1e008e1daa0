"""What every network has to do, tested once; each network's test class inherits it in a few lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from StrokeSegLib.networks import build_network

GOLDEN_POINTS = 5


class NetworkContract:
    """Subclasses name the key, tiny settings and the input's shape: (B, C, H, W), or (B, C, z, y, x) in 3D."""

    key: ClassVar[str]
    settings: ClassVar[dict[str, Any]]
    shape: ClassVar[tuple[int, ...]]
    out_channels: ClassVar[int]
    #: Logits at ``GOLDEN_POINTS`` evenly spaced places, once seen to be right; empty: not stored yet.
    golden: ClassVar[tuple[float, ...]] = ()

    def build(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return build_network(self.key, self.settings)

    def example(self) -> torch.Tensor:
        return torch.randn(self.shape, generator=torch.Generator().manual_seed(1))

    def channels_last(self) -> torch.memory_format:
        return torch.channels_last if len(self.shape) == 4 else torch.channels_last_3d

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
            last = net.to(memory_format=self.channels_last())(x.contiguous(memory_format=self.channels_last()))
        assert torch.allclose(plain, last, atol=1e-4)

    def test_bf16_agrees_to_its_precision(self) -> None:
        net, x = self.build().eval(), self.example()
        with torch.inference_mode():
            plain = net(x)
            with torch.autocast("cpu", torch.bfloat16):
                half = net(x).float()
        # Of the answer's spread, not of its size: a large offset must not hide a wrong picture.
        assert (plain - half).norm() < 0.1 * (plain - plain.mean()).norm()

    def test_a_case_alone_gives_the_same_answer_as_in_a_batch(self) -> None:
        net, x = self.build().eval(), self.example()
        with torch.inference_mode():
            assert torch.allclose(net(x[-1:]), net(x)[-1:], atol=1e-4)

    def test_the_answer_is_the_golden_one(self) -> None:
        if not self.golden:
            pytest.skip("no golden output is stored for this network")
        with torch.inference_mode():
            y = self.build().eval()(self.example()).flatten()
        seen = y[:: len(y) // GOLDEN_POINTS][:GOLDEN_POINTS]
        # Of the largest, because some untrained networks answer with hundredths.
        assert seen.tolist() == pytest.approx(self.golden, rel=0, abs=1e-4 * max(map(abs, self.golden)))

    @pytest.mark.parametrize("change", ["odd", "one slice"])
    def test_a_wrong_size_is_refused_and_one_that_works_is_named(self, change: str) -> None:
        shape = list(self.shape)
        if change == "odd":
            shape[-1] += 1
        else:
            shape[2] = 1
        net = self.build().eval()
        with pytest.raises(ValueError, match="pad to") as refused:
            net(torch.zeros(shape))
        named = [int(each) for each in re.findall(r"\d+", str(refused.value).rsplit("pad to", 1)[1])]
        assert all(size >= given for size, given in zip(named, shape[2:], strict=True))
        with torch.inference_mode():
            assert net(torch.zeros([*shape[:2], *named])).shape[2:] == tuple(named)

    def test_odd_multiples_of_the_divisor_fit_and_halves_of_it_do_not(self) -> None:
        net = self.build().eval()
        shape = [1, self.shape[1], *[net.size_divisor] * (len(self.shape) - 2)]
        shape[-1] *= 3
        with torch.inference_mode():
            assert net(torch.zeros(shape)).shape[2:] == tuple(shape[2:])
        shape[-1] -= net.size_divisor // 2
        with pytest.raises(ValueError, match="pad to"):
            net(torch.zeros(shape))

    def test_twice_the_width_is_twice_the_channels_almost_everywhere(self) -> None:
        def parameters(width: float) -> int:
            with torch.device("meta"):
                net = build_network(self.key, {**self.settings, "width": width})
            return sum(p.numel() for p in net.parameters())

        # Kernels grow with the square of it; those with groups of one size, and decoders of one, only linearly.
        assert 3 < parameters(1.0) / parameters(0.5) <= 4
