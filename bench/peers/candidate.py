"""One peer in Python: loads the model, reports that, and then runs all rows each time that a line comes in. See ../peers.ts."""
import json
import sys
import time

import numpy as np


def openvino_model(ask):
    import openvino

    core = openvino.Core()
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": ask["threads"], "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(ask["model"], "CPU", options)
    return compiled, openvino.__version__.split("-")[0]


def openvino_hetero(ask):
    """OpenVINO's own spreading of one model over the card and the CPU."""
    import openvino

    compiled = openvino.Core().compile_model(ask["model"], "HETERO:GPU,CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled, openvino.__version__.split("-")[0]


def torch_model(ask):
    import torch

    torch.set_num_threads(ask["threads"])
    torch.manual_seed(1)
    return runner(torch, ARCHITECTURES[ask["architecture"]](torch).eval()), torch.__version__.split("+")[0]


def accelerate_model(ask):
    """Half of the model on the card, the rest in main memory, as for a card that is too small."""
    import accelerate
    import torch

    torch.manual_seed(1)
    model = ARCHITECTURES[ask["architecture"]](torch).eval()
    held = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    room = {0: held // 2, "cpu": 2 * held}
    dispatched = accelerate.dispatch_model(model, accelerate.infer_auto_device_map(model, max_memory=room))
    return runner(torch, dispatched), accelerate.__version__


def runner(torch, model):
    def run(feeds):
        with torch.inference_mode():
            return model(**{name: torch.from_numpy(rows) for name, rows in feeds.items()})

    return run


def mlp(torch):
    class Mlp(torch.nn.Module):
        def __init__(self):
            super().__init__()
            layers = [layer for _ in range(12) for layer in (torch.nn.Linear(1024, 1024), torch.nn.ReLU())]
            self.layers = torch.nn.Sequential(*layers)

        def forward(self, x):
            return self.layers(x)

    return Mlp()


def bert(torch, **shape):
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig(**shape))


def resnet(torch):
    from transformers import ResNetConfig, ResNetForImageClassification

    return ResNetForImageClassification(ResNetConfig(num_labels=1000))


LARGE = {"num_hidden_layers": 24, "hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096}
ARCHITECTURES = {
    "mlp": mlp,
    "resnet-50": resnet,
    "bert-base": bert,
    "bert-large": lambda torch: bert(torch, **LARGE),
}
PEERS = {"openvino": openvino_model, "openvino_hetero": openvino_hetero, "torch": torch_model, "accelerate": accelerate_model}


def main():
    ask = json.loads(sys.argv[1])
    run, version = PEERS[ask["peer"]](ask)
    bank = {name: np.load(path) for name, path in ask["rows"].items()}
    held = len(next(iter(bank.values())))

    def run_all(batch, rows):
        started = time.perf_counter()
        for first in range(0, rows, batch):
            places = np.arange(first, min(first + batch, rows)) % held
            run({name: array[places] for name, array in bank.items()})
        return time.perf_counter() - started

    print(json.dumps({"ready": version}), flush=True)
    for line in sys.stdin:
        course = json.loads(line)
        print(json.dumps({"seconds": run_all(course["batch"], course["rows"])}), flush=True)


main()
