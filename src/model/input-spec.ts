/** Checks a model's declared inputs: dtype, shape, and how many rows at once. */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { isDType, type TensorSpec } from '../tensor.js';

/** Dtypes that tfjs computes with. */
const FED = ['float32', 'int32', 'bool'];

const batchShape = z.array(z.int().positive().nullable());

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

/** The fixed number of rows of the first axes, `null` if they take any. Whether they agree is checked in rows-axis.ts. */
export function fixedBatch(inputs: readonly TensorSpec[]): number | null {
  return inputs.map(({ shape }) => shape[0] ?? null).find((dim) => dim !== null) ?? null;
}
