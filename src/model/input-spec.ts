/** What a model says about its inputs, held against what can be fed: dtype, shape, and how many rows at once. */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { isDType, type TensorSpec } from '../tensor.js';

/** Dtypes that tfjs computes with. */
const FED = ['float32', 'int32', 'bool'];

const batchShape = z.array(z.int().positive().nullable()).min(1);

/** The input `name`; `shape` has the rows' axis first. Throws TANDEM_MODEL_UNSUPPORTED. */
export function inputSpec(name: string, dtype: unknown, shape: unknown): TensorSpec {
  if (typeof dtype !== 'string' || !isDType(dtype) || !FED.includes(dtype)) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `the input ${name} has dtype ${String(dtype)}`, {
      remedy: `tfjs can be fed with ${FED.join(', ')}; leave other steps out of the model`,
    });
  }
  const parsed = batchShape.safeParse(shape);
  if (!parsed.success) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `the input ${name} declares no shape with an axis for rows`, {
      remedy: 'save the model with input shapes, [null, ...] for any number of rows',
    });
  }
  return { name, dtype, shape: parsed.data };
}

/** The number of rows that the inputs insist on, `null` where they take any. Throws TANDEM_MODEL_UNSUPPORTED where they differ. */
export function fixedBatch(inputs: readonly TensorSpec[]): number | null {
  const batches = new Set(inputs.map(({ shape }) => shape[0]!).filter((dim) => dim !== null));
  if (batches.size > 1) {
    throw new TandemError(
      'TANDEM_MODEL_UNSUPPORTED',
      `the inputs have different fixed batch sizes: ${[...batches].join(', ')}`,
      {
        remedy: 'save the model with one batch size, or with null',
      },
    );
  }
  return [...batches][0] ?? null;
}
