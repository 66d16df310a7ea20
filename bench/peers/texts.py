"""Embeddings of texts in Python, with all-MiniLM-L6-v2. See ../texts.ts.

  python3 texts.py budget|batches|sentence-transformers|fastembed MODEL_FOLDER TEXTS.json OUT.npy THREADS

The last line printed is JSON: the peak resident size in bytes, and the share of padding where this program makes the batches.
"""
import json
import pathlib
import resource
import sys

import numpy as np

LONGEST = 256
BUDGET = 2048
WINDOW = 1024
BATCH = 32


def by_budget(lengths):
    """Sorted by tokens within windows; as many rows as the budget lets, padded to the longest of them."""
    for start in range(0, len(lengths), WINDOW):
        batch = []
        for row in sorted(range(start, min(start + WINDOW, len(lengths))), key=lambda n: lengths[n]):
            if batch and (len(batch) + 1) * lengths[row] > BUDGET:
                yield batch
                batch = []
            batch.append(row)
        yield batch


def in_order(lengths):
    yield from (range(at, min(at + BATCH, len(lengths))) for at in range(0, len(lengths), BATCH))


def with_onnxruntime(model, texts, threads, batches):
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(model / "model.onnx"), options, providers=["CPUExecutionProvider"])
    ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    embeddings = np.empty((len(texts), 384), np.float32)
    computed = 0
    for batch in batches([len(each) for each in ids]):
        longest = max(len(ids[n]) for n in batch)
        computed += longest * len(batch)
        rows = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros_like(rows)
        for place, n in enumerate(batch):
            rows[place, : len(ids[n])] = ids[n]
            mask[place, : len(ids[n])] = 1
        feeds = {"input_ids": rows, "attention_mask": mask, "token_type_ids": np.zeros_like(rows)}
        hidden = session.run(None, {each.name: feeds[each.name] for each in session.get_inputs()})[0]
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        embeddings[list(batch)] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return embeddings, 1 - sum(map(len, ids)) / computed


def with_sentence_transformers(model, texts, threads):
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    return SentenceTransformer(str(model), device="cpu").encode(texts, batch_size=BATCH, show_progress_bar=False), None


def with_fastembed(model, texts, threads):
    from fastembed import TextEmbedding

    name = "sentence-transformers/all-MiniLM-L6-v2"
    embedder = TextEmbedding(name, specific_model_path=str(model), threads=threads)
    return np.stack(list(embedder.embed(texts, batch_size=BATCH))), None


def main(kind, model, texts, out, threads):
    model, texts, threads = pathlib.Path(model), json.loads(pathlib.Path(texts).read_text()), int(threads)
    if kind == "sentence-transformers":
        embeddings, padding = with_sentence_transformers(model, texts, threads)
    elif kind == "fastembed":
        embeddings, padding = with_fastembed(model, texts, threads)
    else:
        embeddings, padding = with_onnxruntime(model, texts, threads, by_budget if kind == "budget" else in_order)
    np.save(out, np.asarray(embeddings, np.float32))
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "padding": padding}))


main(*sys.argv[1:])
