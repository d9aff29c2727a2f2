import getpass
import socket
from pathlib import Path

import pytest
import torch
from kedro.io import DatasetError

from cai_kedro.datasets.machine_dataset import MachineDataset
from cai_kedro.engines.machine import machine_facts, machine_line, processor_name


def test_the_facts_are_those_in_force() -> None:
    facts = machine_facts("cpu", "float32", "auto")
    assert list(facts) == [
        "processor", "cores", "threads", "device", "dtype", "engine_dtype", "python", "torch", "transformers", "trl"
    ]  # fmt: skip
    assert (facts["device"], facts["dtype"]) == ("cpu", "float32")
    assert facts["engine_dtype"] in ("float32", "bfloat16"), "auto says nothing"
    assert facts["threads"] == str(torch.get_num_threads())
    assert facts["torch"] == torch.__version__.partition("+")[0] or facts["torch"] == torch.__version__


def test_no_host_and_no_user_is_named() -> None:
    line = machine_line(machine_facts("cpu", "auto", "auto"))
    assert socket.gethostname() not in line
    assert getpass.getuser() not in line


def test_a_line_says_all_of_it() -> None:
    facts = {
        "processor": "A processor (family 6, model 1), AVX2", "cores": "2", "threads": "1", "device": "cpu",
        "dtype": "bfloat16", "engine_dtype": "float32",
        "python": "3.11.1", "torch": "2.0", "transformers": "5.0", "trl": "1.0",
    }  # fmt: skip
    assert machine_line(facts) == (
        "A processor (family 6, model 1), AVX2, 2 cores, 1 thread, cpu, training in bfloat16, models read in float32, "
        "python 3.11.1, torch 2.0, transformers 5.0, trl 1.0"
    )


def test_processors_with_one_name_are_told_apart(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\n")
    assert processor_name(info) == f"AMD EPYC (family 26, model 2), {torch.backends.cpu.get_cpu_capability()}"
    assert processor_name(tmp_path / "missing")  # another system: whatever it calls itself


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_named() -> None:
    facts = machine_facts("cuda", "auto", "bfloat16")
    assert (facts["device"], facts["dtype"], facts["engine_dtype"]) == ("cuda (not there)", "auto", "bfloat16")


def test_the_catalog_entry_is_read_only() -> None:
    dataset = MachineDataset(device="cpu", dtype="float32", engine_dtype="float32")
    assert dataset.load()["dtype"] == "float32"
    with pytest.raises(DatasetError, match="looked up, not saved"):
        dataset.save({})  # type: ignore[arg-type]
