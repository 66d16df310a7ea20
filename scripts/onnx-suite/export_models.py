"""Exports small models of transformers' architectures, with seeded weights and nothing downloaded, by both of PyTorch's ONNX exporters.

pip install torch==2.15.0 transformers==5.23.0 onnx==1.23.2 onnxscript==0.7.2
python scripts/onnx-suite/export_models.py FOLDER && node dist/scripts/onnx-suite.js --models FOLDER --cuts 6
"""
import os
import sys
import warnings

import torch
import transformers as hf

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
WORDS = {"vocab_size": 100}
ENDS = {"bos_token_id": 1, "eos_token_id": 2}


class Export(torch.nn.Module):
    """Wraps a model: inputs by name, and only the first output."""

    def __init__(self, model, names):
        super().__init__()
        self.m = model
        self.names = names

    def forward(self, *inputs):
        outputs = self.m(**dict(zip(self.names, inputs)))
        return outputs if torch.is_tensor(outputs) else outputs[0]


class Lstm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(8, 16, 2, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(32, 3)

    def forward(self, rows):
        return self.head(self.lstm(rows)[0])


def models():
    """Yields name, model, and inputs by name with two rows each."""
    text = {"input_ids": torch.randint(0, 90, (2, 16)), "attention_mask": torch.ones(2, 16, dtype=torch.int64)}
    image = {"pixel_values": torch.randn(2, 3, 64, 64)}
    yield "bert", hf.BertModel(hf.BertConfig(**WORDS, **SMALL)), text
    distilled = hf.DistilBertConfig(**WORDS, dim=32, n_layers=3, n_heads=4, hidden_dim=64)
    yield "distilbert", hf.DistilBertForSequenceClassification(distilled), text
    yield "mpnet", hf.MPNetModel(hf.MPNetConfig(**WORDS, **SMALL)), text
    relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8, "share_att_key": True}
    yield "deberta-v2", hf.DebertaV2Model(hf.DebertaV2Config(**WORDS, **relative, norm_rel_ebd="layer_norm", **SMALL)), text
    gpt2 = hf.GPT2Config(**WORDS, **ENDS, n_embd=32, n_layer=3, n_head=4, use_cache=False)
    yield "gpt2", hf.GPT2LMHeadModel(gpt2), text
    yield "llama", hf.LlamaForCausalLM(hf.LlamaConfig(**WORDS, num_key_value_heads=2, use_cache=False, **SMALL)), text
    yield "t5-encoder", hf.T5EncoderModel(hf.T5Config(**WORDS, d_model=32, d_kv=8, d_ff=64, num_layers=3, num_heads=4)), text
    yield "clip-text", hf.CLIPTextModel(hf.CLIPTextConfig(**WORDS, **ENDS, **SMALL)), text
    yield "vit", hf.ViTForImageClassification(hf.ViTConfig(image_size=64, patch_size=16, **SMALL)), image
    windows = {"patch_size": 4, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
    yield "swin", hf.SwinForImageClassification(hf.SwinConfig(image_size=64, **windows)), image
    convnext = hf.ConvNextConfig(hidden_sizes=[16, 32], depths=[2, 2], num_stages=2)
    yield "convnext", hf.ConvNextForImageClassification(convnext), image
    resnet = hf.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[2, 2])
    yield "resnet", hf.ResNetForImageClassification(resnet), image
    yield "mobilenet-v2", hf.MobileNetV2ForImageClassification(hf.MobileNetV2Config(image_size=64)), image
    heads = {"d_model": 32, "encoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_attention_heads": 4}
    layers = {"encoder_layers": 3, "decoder_layers": 1, "max_source_positions": 50}
    whisper = hf.WhisperConfig(**WORDS, **ENDS, **heads, **layers, pad_token_id=0, decoder_start_token_id=1)
    yield "whisper-encoder", hf.WhisperModel(whisper).encoder, {"input_features": torch.randn(2, 80, 100)}
    convolved = {"conv_dim": (16, 16, 16), "conv_stride": (5, 2, 2), "conv_kernel": (10, 3, 3), "num_feat_extract_layers": 3}
    placed = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    sound = hf.Wav2Vec2Config(vocab_size=32, **convolved, **placed, **SMALL)
    yield "wav2vec2", hf.Wav2Vec2Model(sound), {"input_values": torch.randn(2, 1600)}
    yield "lstm", Lstm(), {"rows": torch.randn(2, 10, 8)}


def export(model, inputs, path, dynamo):
    names = list(inputs)
    module = Export(model.eval(), names)
    common = {"input_names": names, "output_names": ["output"], "dynamo": dynamo}
    if dynamo:
        batch = torch.export.Dim("batch", min=1, max=64)
        axes = {"dynamic_shapes": (tuple({0: batch} for _ in names),), "verbose": False}
    else:
        # The length of texts stays open too.
        open_axes = {0: "batch", 1: "sequence"} if "attention_mask" in names else {0: "batch"}
        axes = {"dynamic_axes": {**{name: open_axes for name in names}, "output": {0: "batch"}}, "opset_version": 17}
    with torch.no_grad():
        torch.onnx.export(module, tuple(inputs.values()), path, **common, **axes)


def main(folder, only):
    warnings.filterwarnings("ignore")
    torch.manual_seed(1)
    for name, model, inputs in models():
        for kind in ("trace", "dynamo"):
            if only and name not in only:
                continue
            path = os.path.join(folder, f"{name}-{kind}")
            os.makedirs(path, exist_ok=True)
            try:
                export(model, inputs, os.path.join(path, "model.onnx"), kind == "dynamo")
                print(f"{name}-{kind}: exported")
            except Exception as error:
                os.rmdir(path)
                print(f"{name}-{kind}: the exporter itself fails: {str(error).splitlines()[0]}")


if len(sys.argv) < 2:
    sys.exit("use: export_models.py FOLDER [NAME…]")
main(sys.argv[1], sys.argv[2:])
