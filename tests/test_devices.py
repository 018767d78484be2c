"""A precision that the processor would have to emulate is refused; flags are faked, because machines differ."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sightline.devices import check_precision, cpu_flags, machine, pick_device
from sightline.errors import UserError

PLAIN = frozenset({"sse4_2", "avx2", "avx512f"})


def test_bf16_without_bf16_instructions_is_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match=r"no bf16 instructions.*train.precision=32"):
        check_precision("bf16", device="cpu", flags=PLAIN)


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bf16_with_bf16_instructions_is_allowed(flag: str) -> None:
    check_precision("bf16", device="cpu", flags=PLAIN | {flag})


def test_float16_on_a_processor_is_refused_whatever_its_flags() -> None:
    with pytest.raises(UserError, match="float16 training needs a GPU"):
        check_precision("16", device="cpu", flags=PLAIN | {"avx512_bf16", "avx512_fp16"})


def test_float32_and_gpus_are_never_refused() -> None:
    check_precision("32", device="cpu", flags=frozenset())
    check_precision("bf16", device="cuda", flags=frozenset())
    check_precision("16", device="cuda", flags=frozenset())


@pytest.mark.parametrize("line", ["flags\t\t: fpu avx2 avx512_bf16", "Features\t: fp asimd bf16"])
def test_flags_are_read_as_intel_and_arm_write_them(tmp_path: Path, line: str) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\nmodel name\t: thing\n{line}\n\nprocessor\t: 1\n{line}\n")
    assert cpu_flags(info) & {"avx512_bf16", "bf16"}


def test_a_system_that_does_not_tell_its_flags_has_none(tmp_path: Path) -> None:
    assert cpu_flags(tmp_path / "missing") == frozenset()
    (tmp_path / "empty").touch()
    assert cpu_flags(tmp_path / "empty") == frozenset()


def test_a_device_is_picked_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == "cpu"
    with pytest.raises(UserError, match="torch sees no GPU"):
        pick_device("cuda")
    with pytest.raises(UserError, match="expected auto, cpu or cuda"):
        pick_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == pick_device("cuda") == "cuda"


def test_the_machine_has_what_belongs_beside_every_figure() -> None:
    found = machine()
    assert {"cpu", "cores", "threads", "python", "torch", "gpu"} <= found.keys()
    assert found["cpu"]
