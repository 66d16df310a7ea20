/** Files and names that are given for a model and are none: what each of them is, and the command that makes a model of it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { zipBytes } from '../fixtures/zip-bytes.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-wrong-models-'));
const at = (name: string) => join(cwd, name);
const zip = (...names: string[]) => zipBytes(names.map((name) => ({ name, data: Buffer.from(`of ${name}`) })));
const bytes = (text: string) => Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(64)]);
const array = npyBytes({ descr: '<f4', shape: [1, 2], data: new Uint8Array(8) });
const safetensors = () => {
  const header = Buffer.from('{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.alloc(4)]);
};

const LFS = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4096\n';
const OPTIMUM = /optimum-cli export onnx --model \S+ /;
const TORCH = /torch\.onnx\.export\(model/;
const [MISSING, INVALID, UNSUPPORTED] = ['TANDEM_MODEL_MISSING', 'TANDEM_MODEL_INVALID', 'TANDEM_MODEL_UNSUPPORTED'];

/** What lies there, what it is called, and what is to be typed. */
type Row = readonly [content: string | Buffer | Record<string, string | Buffer>, code: string, ...says: RegExp[]];

const FILES: Record<string, Row> = {
  'torch.pt': [zip('archive/data.pkl', 'archive/version'), UNSUPPORTED, /torch\.pt is a PyTorch checkpoint/, TORCH],
  'pytorch_model.bin': [zip('archive/data.pkl'), UNSUPPORTED, /a PyTorch checkpoint/, OPTIMUM],
  'script.pt': [zip('s/data.pkl', 's/constants.pkl'), UNSUPPORTED, /a TorchScript program/, TORCH],
  'yolo.pt': [
    zipBytes([{ name: 'best/data.pkl', data: Buffer.from('cultralytics.nn.tasks\nDetectionModel') }]),
    UNSUPPORTED,
    /a YOLO/,
    /yolo export model=\S*yolo\.pt format=onnx/,
  ],
  'old.pth': [bytes('\x80\x02\x8a\nl\xfc\x9cF'), UNSUPPORTED, /old\.pth is a Python pickle/, TORCH],
  'forest.pkl': [bytes('\x80\x05\x95'), UNSUPPORTED, /a Python pickle/, /skl2onnx\.to_onnx/],
  'keras.h5': [
    bytes('\x89HDF\r\n\x1a\n'),
    UNSUPPORTED,
    /keras\.h5 is a Keras model \(HDF5\)/,
    /pip install tensorflow tf2onnx; python -m tf2onnx\.convert --keras \S*keras\.h5 --output model\.onnx/,
  ],
  'of a space.h5': [bytes('\x89HDF\r\n\x1a\n'), UNSUPPORTED, /of a space\.h5 is/, / '\S*of a space\.h5' /],
  'keras.keras': [
    zip('metadata.json', 'config.json', 'model.weights.h5'),
    UNSUPPORTED,
    /a Keras 3 model/,
    /tf2onnx\.convert --keras \S*keras\.keras --output model\.onnx/,
  ],
  'lite.tflite': [
    bytes('\x1c\0\0\0TFL3'),
    UNSUPPORTED,
    /a TensorFlow Lite model/,
    /tf2onnx\.convert --tflite \S*lite\.tflite --output model\.onnx/,
  ],
  'llama.gguf': [bytes('GGUF\x03'), UNSUPPORTED, /a GGUF model of llama\.cpp/, OPTIMUM],
  'model.safetensors': [safetensors(), UNSUPPORTED, /weights without a model \(safetensors\)/, OPTIMUM],
  'frozen.pb': [
    bytes('\n\x10\n\x01x\x12\x0bPlaceholder'),
    UNSUPPORTED,
    /a frozen graph of TensorFlow/,
    /tf2onnx\.convert --graphdef \S*frozen\.pb --output model\.onnx --inputs /,
  ],
  'model.mlmodel': [bytes('\x08\x04\x12\x10'), UNSUPPORTED, /a Core ML model/, /made from/],
  'openvino.xml': [
    '<?xml version="1.0"?>\n<net name="m" version="11">',
    UNSUPPORTED,
    /a model of OpenVINO/,
    /\.onnx file/,
  ],
  'card.engine': [bytes('ftrt'), UNSUPPORTED, /a TensorRT engine/, /\.onnx file/],
  'small.ort': [bytes('\x20\0\0\0ORTM'), UNSUPPORTED, /ONNX Runtime's own format/, /\.onnx file/],
  'model.onnx.gz': [gzipSync('onnx'), UNSUPPORTED, /compressed/, /gunzip -k \S*model\.onnx\.gz/],
  'model.tar.gz': [gzipSync('onnx'), UNSUPPORTED, /compressed/, /tar -xzf \S*model\.tar\.gz/],
  'model.zip': [zip('model.onnx'), UNSUPPORTED, /a ZIP archive/, /unzip \S*model\.zip/],
  'rows.npz': [
    zipBytes([{ name: 'x.npy', data: array }]),
    UNSUPPORTED,
    /an NPZ of arrays, not a model/,
    /--input \S*rows\.npz/,
  ],
  'rows.npy': [array, UNSUPPORTED, /an array of rows, not a model/, /tandem run MODEL --input \S*rows\.npy/],
  'rows.jsonl': [
    '{"inputs":{"x":[1]}}\n{"inputs":{"x":[2]}}\n',
    INVALID,
    /rows \(JSON lines\), not a model/,
    /tandem run MODEL --input/,
  ],
  'model.onnx_data': [Buffer.alloc(100), UNSUPPORTED, /ONNX model's weights/, /next to it: \S*model\.onnx\n/],
  'group1-shard1of1.bin': [Buffer.alloc(100), UNSUPPORTED, /weights, not a model/, /model\.json/],
  'pointer.onnx': [LFS, MISSING, /a pointer of Git LFS/, /git lfs pull/],
  'pointer/model.json': [LFS, MISSING, /a pointer of Git LFS/, /git lfs pull/],
  'page.onnx': ['\n<!DOCTYPE html>\n<html>', MISSING, /page\.onnx is a web page/, /\/resolve\//],
  'refused.onnx': ['Entry not found', INVALID, /begins with: Entry not found/, /download/],
  'empty.onnx': ['', INVALID, /empty\.onnx is empty/, /again/],
  'noise.onnx': [Buffer.from([255, 254, 0, 1, 2, 3, 4, 5]), INVALID, /noise\.onnx/],
  'noise.dat': [Buffer.from([255, 254, 0, 1]), INVALID, /does not know/, /ONNX.*TensorFlow\.js/],
  'keras.json': [
    '{"class_name":"Sequential","config":{},"keras_version":"2"}',
    UNSUPPORTED,
    /a Keras architecture without weights/,
    /model\.save/,
  ],
  'config.json': [
    '{"model_type":"bert","architectures":["B"]}',
    UNSUPPORTED,
    /the configuration of a Transformers model/,
    OPTIMUM,
  ],
  'tokenizer.json': ['{"version":"1.0","added_tokens":[],"model":{}}', UNSUPPORTED, /a model's tokenizer/, OPTIMUM],
  'tokenizer_config.json': ['{"tokenizer_class":"BertTokenizer"}', UNSUPPORTED, /a tokenizer's configuration/, OPTIMUM],
  'w.index.json': ['{"metadata":{},"weight_map":{}}', UNSUPPORTED, /an index of weights/, OPTIMUM],
  'plan.json': [
    '{"schema":1,"model":"x","machine":"y","plan":{}}',
    UNSUPPORTED,
    /a plan of tandem/,
    /--plan \S*plan\.json/,
  ],
  'other.json': ['{"name":"x","version":"1"}', INVALID, /no modelTopology, but name, version/, /model\.json/],
};

const FOLDERS: Record<string, Row> = {
  nothing: [{}, MISSING, /nothing is an empty folder/],
  saved: [
    { 'saved_model.pb': bytes('\x08\x01\x12'), 'variables/variables.index': '' },
    UNSUPPORTED,
    /a SavedModel of TensorFlow/,
    /tf2onnx\.convert --saved-model saved --output model\.onnx/,
  ],
  transformers: [
    { 'config.json': '{"model_type":"bert"}', 'model.safetensors': safetensors() },
    UNSUPPORTED,
    /model\.safetensors is a file of weights/,
    /--model transformers onnx-model --task TASK /,
  ],
  'core.mlpackage': [{ 'Manifest.json': '{}', 'Data/x': '' }, UNSUPPORTED, /a Core ML model/],
  several: [{ 'a.onnx': '', 'b.ONNX': '' }, MISSING, /holds 2 models/, /several\/a\.onnx, several\/b\.ONNX/],
  renamed: [{ 'my-model.json': '{"modelTopology":{}}' }, MISSING, /no model\.json/, /renamed\/my-model\.json/],
  deeper: [{ 'one/model.onnx': 'x' }, MISSING, /no model itself/, /give deeper\/one/],
  photos: [{ 'a.txt': 'a', 'b.txt': 'b' }, MISSING, /no \.onnx file, but a\.txt, b\.txt/],
};

const layers = (...more: object[]) =>
  JSON.stringify({
    format: 'layers-model',
    modelTopology: {
      class_name: 'Sequential',
      config: {
        name: 'm',
        layers: [{ class_name: 'InputLayer', config: { name: 'x', batch_input_shape: [null, 2] } }, ...more],
      },
    },
    weightsManifest: [],
  });
const GRAPH = /tf2onnx\.convert --keras model\.h5 --output model\.onnx/;

/** Rows would change the answers of those behind them. */
const STATEFUL = [/layer memory is stateful: one micro-batch would change the next one's result/, /stateful: false/];

/** A model.json with a layer that tfjs cannot have. */
const LAYERS: Record<string, Row> = {
  'a call of TensorFlow': [
    layers({
      class_name: 'TFOpLambda',
      config: { name: 'tf.nn.relu', function: 'nn.relu' },
      inbound_nodes: [['x', 0, 0, { y: 2 }]],
    }),
    UNSUPPORTED,
    /layer "tf\.nn\.relu" calls TensorFlow's nn\.relu \(TFOpLambda\)/,
    /TF_USE_LEGACY_KERAS=1; /,
    GRAPH,
  ],
  ...Object.fromEntries(
    ['LSTM', 'GRU', 'SimpleRNN', 'ConvLSTM2D', 'RNN'].map((type): [string, Row] => [
      `a stateful ${type}`,
      [layers({ class_name: type, config: { name: 'memory', units: 2, stateful: true } }), UNSUPPORTED, ...STATEFUL],
    ]),
  ),
  'a stateful LSTM both ways': [
    layers({
      class_name: 'Bidirectional',
      config: { name: 'both', layer: { class_name: 'LSTM', config: { name: 'memory', units: 2, stateful: true } } },
    }),
    UNSUPPORTED,
    ...STATEFUL,
  ],
  'a name with a space': [
    layers({ class_name: 'ReLU', config: { name: 'my layer' } }),
    UNSUPPORTED,
    /layer "my layer" has a name that tfjs cannot use/,
    /another name/,
  ],
  'a name with other letters': [
    layers({ class_name: 'ReLU', config: { name: 'schön' } }),
    UNSUPPORTED,
    /layer "schön" has a name/,
    GRAPH,
  ],
};

const NAMES: Record<string, Row> = {
  'mlp/modl.onnx': ['', MISSING, /no model at/, /did you mean mlp\/model\.onnx\?/],
  'bert-base/uncased': [
    '',
    MISSING,
    /no model at bert-base\/uncased/,
    /hf download bert-base\/uncased --local-dir uncased.*optimum-cli export onnx --model bert-base\/uncased /,
  ],
  'https://huggingface.co/org/name': ['', MISSING, /is an address/, /hf download org\/name --local-dir name/],
  'https://huggingface.co/org/name/blob/main/onnx/model.onnx': [
    '',
    MISSING,
    /is an address/,
    /hf download org\/name onnx\/model\.onnx --local-dir/,
  ],
  'https://example.com/a/model.onnx?download=1': ['', MISSING, /is an address/, /curl -L -o model\.onnx 'https/],
  's3://bucket/model.onnx': ['', MISSING, /is an address/, /copy it/],
  '-': ['', MISSING, /stdin/],
  dangling: ['', MISSING, /dangling is a link to gone\.onnx, which does not exist/],
  loop: ['', MISSING, /loop cannot be read/],
  pipe: ['', MISSING, /pipe is a pipe/, /save it to a file/],
  '/dev/zero': ['', MISSING, /\/dev\/zero is a device/],
  [`mlp/${'x'.repeat(300)}`]: ['', MISSING, /cannot be read: ENAMETOOLONG/],
  'mlp/model.onnx/inner': ['', MISSING, /no model at/],
};

function put(name: string, content: string | Buffer): void {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), content);
}

before(async () => {
  makeOnnx('mlp', at('mlp'));
  await makeModel('mlp', at('layers'), { width: 4, blocks: 1, length: 2 });
  for (const [name, [content]] of Object.entries(FILES)) put(name, content as Buffer);
  for (const [name, [files]] of Object.entries(FOLDERS)) {
    mkdirSync(at(name));
    for (const [file, content] of Object.entries(files)) put(join(name, file), content);
  }
  for (const [name, [content]] of Object.entries(LAYERS)) put(join(name, 'model.json'), content as string);
  makeOnnx('mlp', at('linked'), { external: true });
  renameSync(at('linked/model.onnx_data'), at('elsewhere'));
  symlinkSync('../elsewhere', at('linked/model.onnx_data'));
  symlinkSync('gone.onnx', at('dangling'));
  symlinkSync('loop', at('loop'));
  execFileSync('mkfifo', [at('pipe')]);
});
after(() => rmSync(cwd, { recursive: true }));

suite('what is no model is named', { concurrency: 2 }, () => {
  for (const [name, [, code, ...says]] of Object.entries({ ...FILES, ...FOLDERS, ...LAYERS, ...NAMES })) {
    test(name.slice(0, 60), async () => {
      const ended = await tandem(['inspect', name], { cwd });
      for (const pattern of says) assertFails(ended, { status: 2, code, says: pattern });
    });
  }

  test('weights that are linked out of the folder', async () => {
    const says = /linked\/model\.onnx_data, a link that leads out .* to \S*elsewhere.*\n.*rm \S* && cp /;
    assertFails(await tandem(['inspect', 'linked'], { cwd }), { status: 2, code: 'TANDEM_WEIGHTS_ESCAPE', says });
  });

  test('before a run prepares stages too', async () => {
    const run = ['run', 'keras.h5', '-i', 'rows.npy', '-o', 'out.npy', '--stage', 'cpu,layers=0..1', '--stage', 'cpu'];
    assertFails(await tandem(run, { cwd }), { status: 2, code: UNSUPPORTED, says: /a Keras model/ });
  });
});

suite('what is a model under an odd name is read', { concurrency: 2 }, () => {
  const opens = async (name: string) => {
    const { status, stderr } = await tandem(['inspect', name], { cwd });
    assert.equal(status, 0, stderr);
  };

  test('MODEL.ONNX, a folder with it, and a file without a suffix', async () => {
    cpSync(at('mlp'), at('upper'), { recursive: true });
    renameSync(at('upper/model.onnx'), at('upper/MODEL.ONNX'));
    cpSync(at('mlp/model.onnx'), at('blob'));
    await Promise.all([opens('upper'), opens('upper/MODEL.ONNX'), opens('blob')]);
  });

  test('a model.json that begins with a byte order mark', async () => {
    cpSync(at('layers'), at('marked'), { recursive: true });
    const text = execFileSync('cat', [at('layers/model.json')]);
    writeFileSync(at('marked/model.json'), Buffer.concat([Buffer.from('\ufeff'), text]));
    await opens('marked');
  });
});
