"""Images in Python: PIL decodes, resizes and crops, numpy scales, ONNX Runtime computes. See ../images.ts.

  python3 images.py MODEL FOLDER OUT.npy THREADS
"""
import pathlib
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
BATCH = 8


def row(path):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    width, height = image.size
    short, long = min(width, height), max(width, height)
    other = int(256 * long / short)
    image = image.resize((256, other) if width <= height else (other, 256), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)))
    values = (pixels.astype(np.float64) * (1 / 255)).astype(np.float32)
    return ((values - MEAN) / STD).transpose(2, 0, 1)


def main(model, folder, out, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    paths = sorted(pathlib.Path(folder).iterdir(), key=str)
    results = [
        session.run(None, {name: np.stack([row(path) for path in paths[at : at + BATCH]])})[0]
        for at in range(0, len(paths), BATCH)
    ]
    np.save(out, np.concatenate(results))


main(*sys.argv[1:])
