/** A Dense module: a linear layer with an activation, after the pooling. */
import { join } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../../errors.js';
import { readSafetensors } from './safetensors.js';
import type { SettingsFiles } from './settings-file.js';

export interface DenseLayer {
  readonly from: number;
  readonly to: number;
  /** (to, from), row-major. */
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
  readonly activation: Activation;
}

/** By the last part of their class names. */
export const ACTIVATIONS = {
  Identity: (x: number) => x,
  Tanh: Math.tanh,
  ReLU: (x: number) => Math.max(0, x),
  Sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
  SiLU: (x: number) => x / (1 + Math.exp(-x)),
} as const;
export type Activation = keyof typeof ACTIVATIONS;

const CONFIG = z.looseObject({
  in_features: z.int().positive(),
  out_features: z.int().positive(),
  bias: z.boolean().optional(),
  activation_function: z.string().optional(),
  module_input_name: z.string().optional(),
  module_output_name: z.string().nullish(),
  use_residual: z.boolean().optional(),
});

const WHERE = 'sentence_embedding';

/** Throws TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED. */
export async function readDense(files: SettingsFiles, path: string): Promise<DenseLayer> {
  const folder = join(files.folder, path);
  const config = await files.json(join(path, 'config.json'), CONFIG);
  if (config === null) throw invalid(`${folder} has no config.json: modules.json names it`);
  if (config.use_residual) throw unsupported(`${folder} adds its input to its output (use_residual)`);
  if ((config.module_input_name ?? WHERE) !== WHERE || (config.module_output_name ?? WHERE) !== WHERE) {
    throw unsupported(`${folder} reads or writes something else than the embedding of the text`);
  }
  const activation = (config.activation_function ?? 'Tanh').split('.').at(-1)!;
  if (!Object.hasOwn(ACTIVATIONS, activation)) {
    throw unsupported(
      `${folder} has the activation ${activation}; tandem knows ${Object.keys(ACTIVATIONS).join(', ')}`,
    );
  }
  const bytes = await files.bytes(join(path, 'model.safetensors'));
  if (bytes === null) throw withoutWeights(folder, (await files.bytes(join(path, 'pytorch_model.bin'))) !== null);
  const tensors = readSafetensors(bytes, join(folder, 'model.safetensors'), ['linear.weight', 'linear.bias']);
  const { in_features: from, out_features: to } = config;
  const weight = tensors.get('linear.weight');
  const bias = tensors.get('linear.bias') ?? null;
  const fits = weight?.shape.join() === [to, from].join() && (bias === null || bias.shape.join() === String(to));
  if (!fits || (config.bias ?? true) !== (bias !== null)) {
    throw invalid(`${folder}: its weights are not what its config.json says: ${from} to ${to}`);
  }
  return { from, to, weight: weight!.values, bias: bias?.values ?? null, activation: activation as Activation };
}

function withoutWeights(folder: string, hasPickle: boolean): TandemError {
  const why = hasPickle ? 'only a pytorch_model.bin, a pickle that can run any code' : 'no weights';
  return new TandemError('TANDEM_MODEL_UNSUPPORTED', `${folder} holds ${why}; tandem reads model.safetensors`, {
    remedy: `in Python: SentenceTransformer("MODEL").save("FOLDER", safe_serialization=True)`,
  });
}

function invalid(message: string): TandemError {
  return new TandemError('TANDEM_MODEL_INVALID', message, { remedy: 'copy the model again, whole' });
}

function unsupported(message: string): TandemError {
  return new TandemError('TANDEM_MODEL_UNSUPPORTED', message, {
    remedy: 'run the model as it is with tandem run, which gives what the ONNX file returns',
  });
}
