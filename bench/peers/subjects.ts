/** What the peers are given: models by name, with the peers that can run each; the first of them is the baseline. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';

export interface Subject {
  readonly name: string;
  /** Writes the model and returns its path. */
  make(folder: string): Promise<string> | string;
  readonly peers: readonly string[];
  /** Each peer runs at the one of these that suits it best. */
  readonly batches: readonly number[];
  /** Tokens of a text, where the model leaves that open. */
  readonly length?: number;
}

const ONNX_PEERS = [
  'ort',
  'ort gpu + cpu',
  'ort partitioned',
  'openvino',
  'openvino hetero',
  'torch',
  'accelerate',
  'tandem',
];
const TFJS_PEERS = ['predict', 'predict, no oneDNN', 'predict, 1 thread', 'tandem'];
const KERAS = ['mobilenet-v2', 'efficientnet-b0', 'inception-v3', 'resnet-50'];

export const SUBJECTS: readonly Subject[] = [
  {
    name: 'mlp',
    make: (folder) => makeOnnx('mlp', folder, { layers: 12, hidden: 1024 }),
    peers: ONNX_PEERS,
    batches: [32, 64, 128, 256],
  },
  {
    name: 'resnet-50',
    make: (folder) => makeOnnx('resnet-50', folder),
    peers: ONNX_PEERS,
    batches: [1, 4],
  },
  {
    name: 'bert-base',
    make: (folder) => makeBert(folder, { layers: 12, hidden: 768, heads: 12, ffn: 3072 }),
    peers: [...ONNX_PEERS, 'transformers.js'],
    batches: [2],
    length: 64,
  },
  {
    name: 'bert-large',
    make: (folder) => makeBert(folder, { layers: 24, hidden: 1024, heads: 16, ffn: 4096 }),
    peers: [...ONNX_PEERS, 'transformers.js'],
    batches: [2],
    length: 32,
  },
  ...KERAS.map((name) => ({
    name: `tfjs ${name}`,
    make: (folder: string) => makeModel(name, folder, { length: 96 }),
    ...{ peers: TFJS_PEERS, batches: [16] },
  })),
  {
    name: 'tfjs transformer',
    make: (folder) => makeModel('transformer', folder, { width: 768, blocks: 12, length: 64 }),
    peers: TFJS_PEERS,
    batches: [2],
  },
];

interface BertShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly ffn: number;
}

/** Laid out as transformers.js wants it: the model in `onnx/`, a config.json above. */
function makeBert(folder: string, shape: BertShape): string {
  mkdirSync(join(folder, 'onnx'), { recursive: true });
  const path = makeOnnx('bert', join(folder, 'onnx'), { ...shape, external: true });
  const config = {
    model_type: 'bert',
    architectures: ['BertModel'],
    'transformers.js_config': { use_external_data_format: true },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return path;
}
