/** The kind of a file by its bytes: a model that can be read, or another program's file and how to get a model from it. */
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname, extname } from 'node:path';
import { type ErrorCode, TandemError } from '../errors.js';
import { shellWord } from '../shell-word.js';

/** The two ends of a file: formats are recognised by their first bytes, the members of an archive by its last. */
export interface FileEnds {
  readonly file: string;
  readonly size: number;
  readonly head: Buffer;
  readonly tail: Buffer;
}

/** A file that is not a model that tandem reads. */
export interface ForeignKind {
  /** As in "model.pt is …". */
  readonly what: string;
  readonly remedy: string;
  readonly code: ErrorCode;
}

interface Row {
  readonly what: string;
  readonly matches: (ends: FileEnds) => boolean;
  readonly remedy: (file: string, ends: FileEnds) => string;
  /** The code if it is not another program's model; default: TANDEM_MODEL_UNSUPPORTED. */
  readonly code?: ErrorCode;
}

const HEAD_BYTES = 4096;
const TAIL_BYTES = 65_536;

const starts =
  (magic: string, at = 0) =>
  ({ head }: FileEnds) =>
    head.toString('latin1', at, at + magic.length) === magic;
const named =
  (...suffixes: string[]) =>
  ({ file }: FileEnds) =>
    suffixes.includes(extname(file).toLowerCase());
/** Whether the archive has a member whose path ends so. A directory of members lies at the end of a ZIP, in plain text. */
const zipWith =
  (...members: string[]) =>
  (ends: FileEnds) =>
    starts('PK\x03\x04')(ends) && members.some((member) => ends.tail.includes(member));
/** The text that a file begins with; empty for binary files. */
const textOf = ({ head }: FileEnds) => (head.some(isControl) ? '' : head.toString('utf8').replace(/^\ufeff/, ''));
const says = (pattern: RegExp) => (ends: FileEnds) => pattern.test(textOf(ends));

// Run on small models: all of tf2onnx (1.17, with TensorFlow 2.21 and Keras 3.15; its README has all but --keras, which its --help has;
// pip does not bring TensorFlow with it), and skl2onnx.to_onnx (1.20). Not run, but read in documentation and source: optimum-cli
// (huggingface.co/docs/optimum-onnx), yolo (docs.ultralytics.com/modes/export); in documentation only: torch.onnx.export
// (docs.pytorch.org/docs/stable/onnx; it needs onnxscript). Tried, and not named because they failed: tensorflowjs_converter 4.22, which
// did not start after a plain pip install and reads no .h5 of Keras 3; keras.Model.export to "onnx" of a model that was loaded, not called.
const EXPORT_TORCH =
  'pip install onnxscript; then load it in the program that made it and call torch.onnx.export(model, (example,), "model.onnx", dynamo=True)';
const TF2ONNX = 'pip install tensorflow tf2onnx; python -m tf2onnx.convert';
const EXPORT_TRANSFORMERS = 'pip install "optimum-onnx[onnxruntime]"; optimum-cli export onnx --model';

/** From a Transformers model on the hub, by its name, to a folder with an ONNX file. */
export function optimumCommand(model: string, folder = 'onnx-model'): string {
  return `${EXPORT_TRANSFORMERS} ${shellWord(model)} ${shellWord(folder)}`;
}

/** From the folder of a Transformers model; optimum-cli infers a task only on the hub, and refuses a folder without one. */
export function optimumFolderCommand(folder: string): string {
  return `${optimumCommand(folder)} --task TASK (what the model is for, such as text-classification)`;
}

/** From a SavedModel's folder to an ONNX file. */
function savedModelCommand(folder: string): string {
  return `${TF2ONNX} --saved-model ${shellWord(folder)} --output model.onnx`;
}

const exportTorch = (file: string) =>
  `${EXPORT_TORCH}; if there is a config.json of Transformers in the same folder: ${optimumFolderCommand(dirname(file))}`;

const kerasCommand = (file: string) => `${TF2ONNX} --keras ${shellWord(file)} --output model.onnx`;

/** As a graph, which also holds what a LayersModel cannot. */
export const KERAS_TO_GRAPH = kerasCommand('model.h5');

const unpack = (command: string) => (file: string) => `unpack it: ${command} ${shellWord(file)}`;

const fromSource = (command: string) => () =>
  `it cannot be converted back: take the model that it was made from, for example: ${command}`;

const pipeline = optimumCommand('ORG/NAME');

/** The first entry that matches is used. */
const FOREIGN: readonly Row[] = [
  {
    what: 'a pointer of Git LFS, not the model itself',
    matches: starts('version https://git-lfs'),
    remedy: () => 'fetch the large files with: git lfs pull',
    code: 'TANDEM_MODEL_MISSING',
  },
  {
    what: 'empty',
    matches: ({ size }) => size === 0,
    remedy: () => 'copy or download it again, whole',
    code: 'TANDEM_MODEL_INVALID',
  },
  {
    what: 'a web page, not a model',
    matches: says(/^\s*<(!doctype html|html|head)/i),
    remedy: () =>
      'download the file itself: on Hugging Face the address has /resolve/ where the page has /blob/, on GitHub /raw/',
    code: 'TANDEM_MODEL_MISSING',
  },
  {
    what: 'a YOLO checkpoint of Ultralytics',
    matches: (ends) => zipWith('data.pkl')(ends) && ends.head.includes('ultralytics'),
    remedy: (file) => `pip install ultralytics; yolo export model=${shellWord(file)} format=onnx`,
  },
  { what: 'a TorchScript program', matches: zipWith('constants.pkl'), remedy: exportTorch },
  { what: 'a PyTorch checkpoint', matches: zipWith('data.pkl'), remedy: exportTorch },
  { what: 'a Keras 3 model', matches: zipWith('model.weights.h5'), remedy: kerasCommand },
  { what: 'an NPZ of arrays, not a model', matches: zipWith('.npy'), remedy: rowsRemedy },
  { what: 'a ZIP archive', matches: starts('PK\x03\x04'), remedy: unpack('unzip') },
  {
    what: 'a Python pickle',
    matches: isPickle,
    remedy: (file, ends) =>
      named('.pt', '.pth', '.bin', '.ckpt')(ends)
        ? exportTorch(file)
        : `load it in the program that made it and export ONNX: torch.onnx.export for PyTorch, skl2onnx.to_onnx for scikit-learn`,
  },
  { what: 'a Keras model (HDF5)', matches: starts('\x89HDF\r\n\x1a\n'), remedy: kerasCommand },
  {
    what: 'a TensorFlow Lite model',
    matches: starts('TFL3', 4),
    remedy: (file) => `${TF2ONNX} --tflite ${shellWord(file)} --output model.onnx`,
  },
  {
    what: 'a GGUF model of llama.cpp',
    matches: (ends) => ['GGUF', 'lmgg', 'tjgg', 'fmgg'].some((magic) => starts(magic)(ends)),
    remedy: fromSource(pipeline),
  },
  {
    what: 'a file of weights without a model (safetensors)',
    matches: isSafetensors,
    remedy: (file) => `export the model that they belong to: ${optimumFolderCommand(dirname(file))}`,
  },
  {
    what: "a model in ONNX Runtime's own format",
    matches: starts('ORTM', 4),
    remedy: () => 'give the .onnx file that it was made from: only that has separate layers',
  },
  {
    // Its tag is in samples/common/sampleEngines.cpp of github.com/NVIDIA/TensorRT; Ultralytics writes metadata before it.
    what: 'a TensorRT engine',
    matches: (ends) => starts('ftrt')(ends) || named('.engine', '.plan', '.trt')(ends),
    remedy: () => 'give the .onnx file that it was built from',
  },
  {
    what: 'a model of OpenVINO',
    matches: says(/^\s*(<\?xml[^>]*>\s*)?<net\s/),
    remedy: () => 'give the .onnx file that it was converted from',
  },
  { what: 'a Core ML model', matches: named('.mlmodel'), remedy: fromSource(pipeline) },
  { what: 'an array of rows, not a model', matches: starts('\x93NUMPY'), remedy: rowsRemedy },
  { what: 'compressed', matches: starts('\x1f\x8b'), remedy: (file) => unpack(gunzip(file))(file) },
  { what: 'compressed', matches: starts('\xfd7zXZ\0'), remedy: unpack('xz -dk') },
  { what: 'compressed', matches: starts('\x28\xb5\x2f\xfd'), remedy: unpack('zstd -d') },
  { what: 'compressed', matches: starts('BZh'), remedy: unpack('bunzip2 -k') },
  { what: 'an archive', matches: starts('7z\xbc\xaf\x27\x1c'), remedy: unpack('7z x') },
  { what: 'an archive', matches: starts('ustar', 257), remedy: unpack('tar -xf') },
  {
    what: 'a SavedModel of TensorFlow',
    matches: ({ file }) => basename(file) === 'saved_model.pb',
    remedy: (file) => savedModelCommand(dirname(file)),
  },
  {
    what: 'a frozen graph of TensorFlow',
    matches: (ends) => named('.pb')(ends) && !looksLikeOnnx(ends),
    remedy: (file) => `${TF2ONNX} --graphdef ${shellWord(file)} --output model.onnx --inputs NAME:0 --outputs NAME:0`,
  },
  {
    what: "a file of an ONNX model's weights",
    matches: ({ file }) => /\.onnx[._]data$/.test(file),
    remedy: (file) => `give the .onnx file next to it: ${shellWord(file.replace(/[._]data$/, ''))}`,
  },
  {
    what: 'a file of weights, not a model',
    matches: ({ file }) => /(group\d+-shard\d+of\d+|\.weights)(\.bin)?$/.test(file),
    remedy: (file) => `give the model.json next to it in ${shellWord(dirname(file))}`,
  },
];

/** Bytes that no text has: all below space except tabs, line feeds, form feeds and returns. */
function isControl(byte: number): boolean {
  return byte < 0x20 && (byte < 0x09 || byte > 0x0d);
}

/** Protocols 2 to 5. */
function isPickle({ head: [first, protocol] }: FileEnds): boolean {
  return first === 0x80 && protocol! >= 2 && protocol! <= 5;
}

function rowsRemedy(file: string): string {
  return `the model comes first, then the rows: tandem run MODEL --input ${shellWord(file)} --output FILE`;
}

/** Eight bytes with the length of the header, then the header, a JSON object. */
function isSafetensors({ head, size }: FileEnds): boolean {
  if (head.length < 10) return false;
  const length = head.readBigUInt64LE(0);
  return head[8] === 0x7b && length > 1n && length <= BigInt(size) - 8n;
}

function gunzip(file: string): string {
  return /\.(tgz|tar\.gz)$/i.test(file) ? 'tar -xzf' : 'gunzip -k';
}

/** A ModelProto as programs write it: ir_version first (varint of 3 or more), then any of its other fields. A SavedModel has 1 there. */
function looksLikeOnnx({ head }: FileEnds): boolean {
  const [tag, version, next] = head;
  return tag === 0x08 && version! >= 3 && version! < 64 && [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(next!);
}

/** Reads the ends of `file`, which exists. Throws TANDEM_MODEL_MISSING if it cannot be read. */
export async function fileEnds(file: string): Promise<FileEnds> {
  let handle: FileHandle;
  try {
    handle = await open(file);
  } catch (cause) {
    throw new TandemError('TANDEM_MODEL_MISSING', `${file} cannot be read: ${(cause as Error).message}`, {
      remedy: `see who may read it: ls -l ${shellWord(file)}`,
      cause,
    });
  }
  try {
    const { size } = await handle.stat();
    const read = async (from: number, bytes: number) => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, from);
      return buffer.subarray(0, bytesRead);
    };
    const head = await read(0, HEAD_BYTES);
    // Only an archive is recognised by its end.
    const isZip = head.toString('latin1', 0, 2) === 'PK';
    return { file, size, head, tail: isZip ? await read(Math.max(0, size - TAIL_BYTES), TAIL_BYTES) : head };
  } finally {
    await handle.close();
  }
}

/** Whether it is an ONNX model by its bytes, or else by its name. */
export function isOnnx(ends: FileEnds): boolean {
  return named('.onnx')(ends) || looksLikeOnnx(ends);
}

/** The kind of a file that is known not to be a model that tandem reads. */
export function foreignKind(ends: FileEnds): ForeignKind | null {
  const row = FOREIGN.find(({ matches }) => matches(ends));
  if (!row) return null;
  const { what, remedy, code = 'TANDEM_MODEL_UNSUPPORTED' } = row;
  return { what, remedy: remedy(ends.file, ends), code };
}

/** The first line of a file that is text; null for binary. */
export function firstLine(ends: FileEnds): string | null {
  const text = textOf(ends);
  return text === '' ? null : text.trimStart().split('\n')[0]!.slice(0, 80);
}
