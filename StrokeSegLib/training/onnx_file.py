"""A model's network as one ONNX file with the weights inside, for other programs."""

from __future__ import annotations

from pathlib import Path

import onnx

from StrokeSegLib.models import ModelCard, ModelNetwork, check_weights


def onnx_name(card: ModelCard, network: ModelNetwork) -> str:
    """``mri.onnx``, or ``three-projection-axial.onnx`` where there are several networks."""
    return f"{card.id}.onnx" if len(card.networks) == 1 else f"{card.id}-{network.name}.onnx"


def write_onnx(card: ModelCard, folder: Path) -> list[Path]:
    """Writes each network of a model as one file that needs no other, checked by ONNX's own checker.

    Input ``x`` is what the system's preparation makes, not an image; the output are logits before the temperature. The
    file's properties say which model it is.

    Args:
        folder: Existing.

    Returns:
        The files.

    Raises:
        InputError: The weights are not the ones that the card names.
    """
    written = []
    for network in card.networks:
        check_weights(network)
        model = onnx.load(str(network.graph))  # with the weights that lie in the other file
        onnx.helper.set_model_props(
            model,
            {
                "model": card.id,
                "version": card.version,
                "network": network.name,
                "system": card.system,
                "labels": ", ".join(f"{label.value} = {label.name}" for label in card.labels),
                "temperature": str(card.temperature),
                "sha256_of_weights": network.sha256,
                "licence": card.licence,
                "intended_use": "Research use only, not a medical device",
            },
        )
        path = folder / onnx_name(card, network)
        onnx.save(model, str(path))
        onnx.checker.check_model(str(path), full_check=True)
        written.append(path)
    return written
