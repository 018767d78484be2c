"""The same graph for OpenVINO. Next: parity.py."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sightline.errors import MissingExtra, UserError


def to_openvino(graph: bytes) -> tuple[bytes, bytes]:
    """OpenVINO's two files, XML and weights, of a graph in ONNX.

    Raises:
        MissingExtra: openvino is not installed.
        UserError: it cannot take the graph.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra(feature="sightline export --to openvino", extra="export") from error
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plain.onnx").write_bytes(graph)
        try:
            model = openvino.convert_model(folder / "plain.onnx")
            openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UserError(f"OpenVINO cannot take this model ({reason}). Use --to onnx.") from error
        return (folder / "model.xml").read_bytes(), (folder / "model.bin").read_bytes()
