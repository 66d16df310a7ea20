/** A model's folder: what is read from where, what wins, and what is refused by name. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeTextModel, type TextModelOptions } from '../../../scripts/make-text-model.js';
import { readModelFolder } from '../../../src/tasks/model-folder/model-folder.js';
import { safetensorsBytes } from '../../fixtures/safetensors-bytes.js';

function folderOf(t: TestContext, options: TextModelOptions = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-model-folder-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return makeTextModel(folder, options);
}

const TYPE = 'sentence_transformers.models';
const modulesOf = (...types: string[]) =>
  types.map((type, n) => ({ idx: n, name: `${n}`, path: n ? `${n}_X` : '', type }));

test('sentence_bert_config wins over the tokenizer, and what tokenizer.json cuts to is not looked at', async (t) => {
  const folder = folderOf(t);
  const { longest, modules, padId, settings } = await readModelFolder(folder);
  assert.deepEqual(longest, { tokens: 48, origin: 'max_seq_length in sentence_bert_config.json' });
  assert.deepEqual(modules, [
    { kind: 'pooling', pooling: { modes: ['mean'], includePrompt: true } },
    { kind: 'normalize' },
  ]);
  assert.equal(padId, 0);
  assert.equal(settings.kind, 'bert');
});

test('a length that stands for no limit is none; the positions of the model are not taken for one', async (t) => {
  const config = { model_type: 'roberta', max_position_embeddings: 514 };
  for (const none of [1e30, 0, null]) {
    const files = {
      'sentence_bert_config.json': null,
      'tokenizer_config.json': { model_max_length: none },
      'config.json': config,
    };
    const { longest } = await readModelFolder(folderOf(t, { files }));
    assert.deepEqual(longest, { tokens: null, origin: 'no file sets a limit' });
  }
  const files = { 'sentence_bert_config.json': { max_seq_length: null } };
  const { longest } = await readModelFolder(folderOf(t, { files }));
  assert.deepEqual(longest, { tokens: 512, origin: 'model_max_length in tokenizer_config.json' });
});

test('pooling: the older booleans, several of them, none of them, and the newer name', async (t) => {
  const cases: [object, readonly string[], boolean][] = [
    [{ pooling_mode_cls_token: true }, ['cls'], true],
    [{ pooling_mode_mean_tokens: true, pooling_mode_cls_token: true, include_prompt: false }, ['cls', 'mean'], false],
    [{ pooling_mode_mean_tokens: false }, ['mean'], true],
    [{ pooling_mode: 'lasttoken', embedding_dimension: 32 }, ['lasttoken'], true],
    [{ pooling_mode: ['max', 'weightedmean'] }, ['max', 'weightedmean'], true],
    [{ pooling_mode: 'mean_sqrt_len_tokens', pooling_mode_cls_token: true }, ['mean_sqrt_len_tokens'], true],
  ];
  for (const [config, modes, includePrompt] of cases) {
    const { modules } = await readModelFolder(folderOf(t, { files: { '1_Pooling/config.json': config } }));
    assert.deepEqual(modules[0], { kind: 'pooling', pooling: { modes, includePrompt } });
  }
  const files = { '1_Pooling/config.json': { pooling_mode: 'average' } };
  await assert.rejects(readModelFolder(folderOf(t, { files })), {
    code: 'TANDEM_MODEL_UNSUPPORTED',
    message: /1_Pooling\/config\.json has the pooling mode "average"/,
  });
});

test('modules are known by the last part of their class, and others are refused by name', async (t) => {
  const moved = 'sentence_transformers.sentence_transformer.modules';
  const listed = [
    { path: '', type: `${moved}.transformer.Transformer` },
    { path: '1_Pooling', type: `${moved}.pooling.Pooling` },
  ];
  const { modules } = await readModelFolder(folderOf(t, { files: { 'modules.json': listed } }));
  assert.deepEqual(
    modules.map(({ kind }) => kind),
    ['pooling'],
  );
  const files = { 'modules.json': modulesOf(`${TYPE}.Transformer`, `${TYPE}.CNN`) };
  await assert.rejects(readModelFolder(folderOf(t, { files })), {
    code: 'TANDEM_MODEL_UNSUPPORTED',
    message: /a module of the type sentence_transformers\.models\.CNN/,
  });
});

test('without modules.json it is the mean of the tokens; a damaged or missing file is named', async (t) => {
  const { modules, modulesOrigin } = await readModelFolder(folderOf(t, { files: { 'modules.json': null } }));
  assert.deepEqual(modules, [{ kind: 'pooling', pooling: { modes: ['mean'], includePrompt: true } }]);
  assert.match(modulesOrigin, /no modules\.json/);
  const damaged = folderOf(t, { files: { 'config.json': '{"model_type":' } });
  await assert.rejects(readModelFolder(damaged), { code: 'TANDEM_MODEL_INVALID', message: /config\.json is not JSON/ });
  const none = folderOf(t, { files: { 'tokenizer.json': null } });
  await assert.rejects(readModelFolder(none), { code: 'TANDEM_MODEL_MISSING', message: /has no tokenizer\.json/ });
});

test('dense layers come from safetensors, and a pickle is refused', async (t) => {
  const modules = modulesOf(`${TYPE}.Transformer`, `${TYPE}.Pooling`, `${TYPE}.Dense`);
  const config = {
    in_features: 2,
    out_features: 1,
    bias: true,
    activation_function: 'torch.nn.modules.activation.Tanh',
  };
  const files = {
    'modules.json': modules,
    '1_X/config.json': {},
    '2_X/config.json': config,
    '2_X/model.safetensors': safetensors({
      'linear.weight': [
        [1, 2],
        [0.5, -2],
      ],
      'linear.bias': [[1], [3]],
    }),
  };
  const read = await readModelFolder(folderOf(t, { files }));
  assert.deepEqual(read.modules[1], {
    kind: 'dense',
    dense: { from: 2, to: 1, weight: Float32Array.of(0.5, -2), bias: Float32Array.of(3), activation: 'Tanh' },
  });
  const pickle = { ...files, '2_X/model.safetensors': null, '2_X/pytorch_model.bin': 'x' };
  await assert.rejects(readModelFolder(folderOf(t, { files: pickle })), {
    code: 'TANDEM_MODEL_UNSUPPORTED',
    message: /a pickle/,
  });
  const cut = { ...files, '2_X/model.safetensors': files['2_X/model.safetensors'].subarray(0, -3) };
  await assert.rejects(readModelFolder(folderOf(t, { files: cut })), { code: 'TANDEM_MODEL_INVALID' });
});

/** Of 32-bit floats: [shape, values] by name. */
function safetensors(tensors: Record<string, number[][]>): Buffer {
  const made = Object.entries(tensors).map(([name, [shape, values]]) => {
    const data = new Uint8Array(Float32Array.from(values!).buffer);
    return [name, { dtype: 'F32', shape: shape!, data }] as const;
  });
  return safetensorsBytes(Object.fromEntries(made));
}

test('variants by name, in the folder or in onnx/, and a file given by itself finds its settings', async (t) => {
  const folder = folderOf(t, { file: 'onnx/model_quantized.onnx' });
  const quantised = join(folder, 'onnx/model_quantized.onnx');
  for (const variant of ['q8', 'model_quantized', 'model_quantized.onnx']) {
    assert.equal((await readModelFolder(folder, variant)).modelFile, quantised);
  }
  assert.equal((await readModelFolder(quantised)).folder, folder);
  await assert.rejects(readModelFolder(folder, 'fp16'), {
    code: 'TANDEM_MODEL_MISSING',
    message: /holds no model_fp16\.onnx, here or in onnx\//,
    remedy: /it holds q8/,
  });
});

test('labels, and what makes scores of logits', async (t) => {
  const cases: [object, string, readonly string[] | null][] = [
    [{ id2label: { 1: 'b', 0: 'a' } }, 'softmax', ['a', 'b']],
    [{ id2label: { 0: 'a', 1: 'b' }, problem_type: 'multi_label_classification' }, 'sigmoid', ['a', 'b']],
    [{ id2label: { 0: 'a' } }, 'sigmoid', ['a']],
    [{ num_labels: 1 }, 'sigmoid', null],
    [
      { id2label: { 0: 'a' }, sentence_transformers: { activation_fn: 'torch.nn.modules.linear.Identity' } },
      'none',
      ['a'],
    ],
    [{ id2label: { 0: 'a', 2: 'c' } }, 'softmax', null],
  ];
  for (const [config, activation, labels] of cases) {
    const { settings } = await readModelFolder(folderOf(t, { kind: 'classify', files: { 'config.json': config } }));
    assert.equal(settings.activation, activation, JSON.stringify(config));
    assert.deepEqual(settings.labels, labels);
  }
});
