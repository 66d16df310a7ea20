"""Makes what test/rows/images compares with: hashes of Pillow's results, and small image files with the pixels that Pillow decodes from them.

  python3 scripts/image-fixtures.py                 writes test/fixtures/images (needs pillow and numpy)
  python3 scripts/image-fixtures.py --check N       N random resizes as JSON lines, for scripts/compare-resize
"""
import hashlib
import io
import json
import pathlib
import random
import sys

import numpy as np
from PIL import Image, ImageCms, ImageOps, __version__

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "test" / "fixtures" / "images"
RESAMPLES = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
# (width, height) before and after: up and down, odd, extreme, one axis only.
SIZES = [
    ((640, 480), (224, 224)), ((640, 480), (299, 224)), ((64, 48), (224, 168)), ((97, 61), (61, 97)), ((33, 257), (32, 256)),
    ((500, 375), (341, 256)), ((1, 1), (7, 5)), ((300, 200), (300, 100)), ((300, 200), (100, 200)), ((1023, 17), (8, 16)),
    # Rows before columns, since Pillow 13; the last two are on both sides of that rule.
    ((300, 400), (256, 256)), ((48, 64), (30, 20)), ((60, 100), (40, 60)), ((60, 100), (40, 59)),
]


def pixels(width, height, channels, seed=1):
    """The same bytes as madePixels of test/rows/images/made-pixels.ts: a linear congruential generator, and a gradient on every other block of 16 bytes."""
    count = width * height * channels
    values = np.empty(count, np.uint32)
    state = seed
    for n in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values[n] = state >> 24
    index = np.arange(count, dtype=np.uint32)
    values = np.where((index >> 4) & 1, values, index & 255)
    return values.astype(np.uint8).reshape(height, width, channels)


def image_of(array):
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def resized(array, size, resample):
    return np.asarray(image_of(array).resize(size, Image.Resampling[resample.upper()]))


def resize_cases():
    for (width, height), size in SIZES:
        for channels in (3, 1):
            array = pixels(width, height, channels)
            for resample in RESAMPLES:
                yield {
                    "from": [width, height], "to": list(size), "channels": channels, "resample": resample,
                    "sha256": sha(resized(array, size, resample)),
                }


def picture():
    """A smooth picture with edges: what JPEG keeps well."""
    y, x = np.mgrid[0:48, 0:64]
    red, green, blue = x * 4 % 256, y * 5 % 256, (x + y) * 2 % 256
    array = np.stack([red, green, blue], -1).astype(np.uint8)
    array[10:30, 20:40] = (250, 20, 60)
    return Image.fromarray(array)


def files():
    """Name, bytes, and how Pillow is asked for the pixels (a mode), or None for one that tandem refuses."""
    image = picture()

    def saved(each, kind, **options):
        out = io.BytesIO()
        each.save(out, kind, **options)
        return out.getvalue()

    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = image.convert("RGBA")
    alpha.putalpha(Image.fromarray((np.arange(48 * 64) % 256).astype(np.uint8).reshape(48, 64)))
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    srgb[24:36] = bytes(12)  # When it was made.
    yield "plain.jpg", saved(image, "JPEG", quality=90), "RGB"
    yield "progressive.jpg", saved(image, "JPEG", quality=80, progressive=True, subsampling=2), "RGB"
    yield "turned.jpg", saved(image, "JPEG", quality=90, exif=exif), "RGB"
    yield "profile.jpg", saved(image, "JPEG", quality=90, icc_profile=bytes(srgb)), "RGB"
    yield "grey.jpg", saved(image.convert("L"), "JPEG", quality=90), "L"
    yield "plain.png", saved(image, "PNG"), "RGB"
    yield "grey.png", saved(image.convert("L"), "PNG"), "L"
    yield "palette.png", saved(image.quantize(32), "PNG"), "RGB"
    yield "alpha.png", saved(alpha, "PNG"), "RGB"
    yield "bits.png", saved(image.convert("1"), "PNG"), "L"
    yield "plain.webp", saved(image, "WEBP", quality=80), "RGB"
    yield "lossless.webp", saved(image, "WEBP", lossless=True), "RGB"
    yield "plain.tif", saved(image, "TIFF"), "RGB"
    yield "first-frame.gif", saved(image.quantize(16), "GIF", save_all=True, append_images=[image.rotate(90).quantize(16)]), "RGB"
    yield "cmyk.jpg", saved(image.convert("CMYK"), "JPEG", quality=90), None
    yield "sixteen.png", saved(Image.fromarray((np.arange(48 * 64, dtype=np.uint16) * 20).reshape(48, 64)), "PNG"), None
    yield "plain.bmp", saved(image, "BMP"), None


def write_files():
    known = {}
    for name, content, mode in files():
        (FOLDER / name).write_bytes(content)
        if mode is None:
            continue
        turned = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        known[name] = {
            "size": list(turned.size), "rgb": sha(np.asarray(turned.convert("RGB"))), "grey": sha(np.asarray(turned.convert("RGB").convert("L"))),
        }
    return known


def shaped(image, fit=None, crop=None, box=None, resample="bilinear", color="rgb", layout="nchw", scale=1.0, mean=(0, 0, 0), std=(1, 1, 1), dtype="float32"):
    """One row as transformers' image processors make it with numpy: resize, centre crop, rescale, normalise, layout."""
    image = image.convert("L" if color == "grey" else "RGB")
    width, height = image.size
    if isinstance(fit, int):
        short, long = min(width, height), max(width, height)
        other = int(fit * long / short)
        fit = (fit, other) if width <= height else (other, fit)
    if box:
        ratio = min(box[0] / width, box[1] / height)
        fit = (round(width * ratio), round(height * ratio))
    array = np.asarray(image.resize(fit, Image.Resampling[resample.upper()]) if fit else image)
    array = array.reshape(*array.shape[:2], -1)
    if color == "bgr":
        array = array[..., ::-1]
    size = crop or box
    if size:
        fill = 114 if box else 0
        padded = np.full((max(size[1], array.shape[0]), max(size[0], array.shape[1]), array.shape[2]), fill, np.uint8)
        top, left = (-((array.shape[0] - size[1]) // 2), -((array.shape[1] - size[0]) // 2))
        padded[max(0, top) : max(0, top) + array.shape[0], max(0, left) : max(0, left) + array.shape[1]] = array
        down, right = max(0, -top), max(0, -left)
        array = padded[down : down + size[1], right : right + size[0]]
    if dtype == "float32":
        array = (array.astype(np.float64) * scale).astype(np.float32)
        count = array.shape[2]
        array = (array - np.array(mean[:count], np.float32)) / np.array(std[:count], np.float32)
    return np.ascontiguousarray(array.transpose(2, 0, 1) if layout == "nchw" else array, dtype)


IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# As --image says it, and as the function above is asked.
ROWS = [
    ("shortest=40,crop=32,resample=bicubic,scale=1/255,mean=0.485,0.456,0.406,std=0.229,0.224,0.225", {"fit": 40, "crop": (32, 32), "resample": "bicubic", "scale": 1 / 255, **IMAGENET}),
    ("resize=41,crop=33x31,scale=1/255", {"fit": 41, "crop": (33, 31), "scale": 1 / 255}),
    ("resize=30x20,scale=1,layout=nhwc,color=bgr,mean=1,2,3,std=4,5,6", {"fit": (30, 20), "layout": "nhwc", "color": "bgr", "mean": (1, 2, 3), "std": (4, 5, 6)}),
    ("crop=81x70,scale=1/127.5,mean=1", {"crop": (81, 70), "scale": 1 / 127.5, "mean": (1, 1, 1)}),
    ("resize=50,letterbox,scale=1/255", {"box": (50, 50), "scale": 1 / 255}),
    ("resize=28,color=grey,scale=1/255,mean=0.5,std=0.5", {"fit": (28, 28), "color": "grey", "scale": 1 / 255, "mean": (0.5,), "std": (0.5,)}),
    ("resize=20x24,layout=nhwc", {"fit": (20, 24), "layout": "nhwc", "dtype": "uint8"}),
]


def row_cases():
    for text, asked in ROWS:
        for name in ("plain.jpg", "turned.jpg"):
            image = ImageOps.exif_transpose(Image.open(FOLDER / name))
            array = shaped(image, **asked)
            yield {"file": name, "image": text, "dtype": str(array.dtype), "shape": list(array.shape), "sha256": sha(array)}


def check(count):
    random.seed(20)
    for _ in range(count):
        before = [random.randint(1, 200), random.randint(1, 200)]
        after = [random.randint(1, 200), random.randint(1, 200)]
        channels, resample = random.choice([1, 3]), random.choice(RESAMPLES)
        array = pixels(*before, channels)
        print(json.dumps({"from": before, "to": after, "channels": channels, "resample": resample, "sha256": sha(resized(array, after, resample))}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(int(sys.argv[2]))
    else:
        FOLDER.mkdir(parents=True, exist_ok=True)
        made = {"pillow": __version__, "resize": list(resize_cases()), "files": write_files(), "rows": list(row_cases())}
        (FOLDER / "pillow.json").write_text(json.dumps(made, indent=0) + "\n")
