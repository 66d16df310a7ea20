/** The inputs of a model that are made of a text's tokens: by name, those that the user does not give. */
import { TandemError } from '../../errors.js';
import type { DType, TensorSpec } from '../../tensor.js';

/** What an input is made of. */
export type TokenInputKind = 'ids' | 'mask' | 'types' | 'positions';

export interface TokenInput {
  readonly kind: TokenInputKind;
  readonly dtype: DType;
  /** `null` if it is as long as the text. */
  readonly length: number | null;
}

const KINDS: Readonly<Record<string, TokenInputKind>> = {
  input_ids: 'ids',
  attention_mask: 'mask',
  token_type_ids: 'types',
  position_ids: 'positions',
};

const NUMBERS: readonly DType[] = ['int64', 'int32', 'float32', 'bool'];

/**
 * One for each fed input, whose rows' axis is in front. Throws TANDEM_MODEL_UNSUPPORTED for an input that is not made of tokens,
 * or that has another form than (rows, tokens).
 */
export function tokenInputsOf(fed: readonly TensorSpec[]): TokenInput[] {
  const inputs = fed.map(({ name, dtype, shape, openRank }): TokenInput => {
    const kind = Object.hasOwn(KINDS, name) ? KINDS[name]! : null;
    if (kind === null) {
      throw unsupported(
        `the model has an input "${name}", which is not made of a text's tokens`,
        `give it once for all rows: --set ${name}=VALUE; texts make ${Object.keys(KINDS).join(', ')}`,
      );
    }
    if (!NUMBERS.includes(dtype) || openRank || shape.length !== 2) {
      throw unsupported(`the model's input ${name} is not (rows, tokens) of whole numbers`, 'use tandem run');
    }
    return { kind, dtype, length: shape[1] ?? null };
  });
  if (!inputs.some(({ kind }) => kind === 'ids')) {
    const names = fed.map(({ name }) => name).join(', ');
    throw unsupported(`the model has no input input_ids, but ${names}: it takes no texts`, 'use tandem run');
  }
  return inputs;
}

/** The value of each input where a text is shorter than its neighbours, in the order of `inputs`; `null` without a mask that hides it. */
export function paddingOf(inputs: readonly TokenInput[], padId: number): number[] | null {
  if (!inputs.some(({ kind }) => kind === 'mask')) return null;
  return inputs.map(({ kind }) => (kind === 'ids' ? padId : 0));
}

/** The number of tokens that every row has; `null` if rows differ. */
export function fixedLengthOf(inputs: readonly TokenInput[]): number | null {
  return inputs.find(({ length }) => length !== null)?.length ?? null;
}

function unsupported(message: string, remedy: string): TandemError {
  return new TandemError('TANDEM_MODEL_UNSUPPORTED', message, { remedy });
}
