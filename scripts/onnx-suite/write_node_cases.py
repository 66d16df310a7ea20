"""Writes the node cases of ONNX's backend suite that have two or more ops, as folders like those in onnx/backend/test/data."""

import sys
from pathlib import Path

from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases


def main(target: Path) -> None:
    for case in collect_testcases(None):
        graph = case.model.graph
        if len(graph.node) < 2:
            continue
        folder = target / case.name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(case.model.SerializeToString())
        for n, (inputs, _) in enumerate(case.data_sets):
            values = folder / f"test_data_set_{n}"
            values.mkdir()
            for i, value in enumerate(inputs):
                # Sequences and optionals are not written: onnxruntime-node takes tensors only.
                if not graph.input[i].type.HasField("tensor_type"):
                    continue
                if not isinstance(value, TensorProto):
                    value = numpy_helper.from_array(value, graph.input[i].name)
                (values / f"input_{i}.pb").write_bytes(value.SerializeToString())


main(Path(sys.argv[1]))
