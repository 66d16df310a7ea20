/** The settings of a Pooling module: which token embeddings make the embedding of a text. */
import { join } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../../errors.js';
import type { SettingsFiles } from './settings-file.js';

const POOLING_MODES = ['cls', 'max', 'mean', 'mean_sqrt_len_tokens', 'weightedmean', 'lasttoken'] as const;
export type PoolingMode = (typeof POOLING_MODES)[number];

export interface PoolingSettings {
  /** Several are concatenated, in this order. */
  readonly modes: readonly PoolingMode[];
  /** Whether the tokens of the prompt count. */
  readonly includePrompt: boolean;
}

/** What sentence-transformers takes for a model without modules. */
export const MEAN: PoolingSettings = { modes: ['mean'], includePrompt: true };

/** The older names, one boolean each, in the order of concatenation. */
const BOOLEANS: readonly (readonly [string, PoolingMode])[] = [
  ['pooling_mode_cls_token', 'cls'],
  ['pooling_mode_max_tokens', 'max'],
  ['pooling_mode_mean_tokens', 'mean'],
  ['pooling_mode_mean_sqrt_len_tokens', 'mean_sqrt_len_tokens'],
  ['pooling_mode_weightedmean_tokens', 'weightedmean'],
  ['pooling_mode_lasttoken', 'lasttoken'],
];

const CONFIG = z.looseObject({
  pooling_mode: z.union([z.string(), z.array(z.string())]).optional(),
  include_prompt: z.boolean().optional(),
});

/** Throws TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED. */
export async function readPooling(files: SettingsFiles, path: string): Promise<PoolingSettings> {
  const name = join(path, 'config.json');
  const config = await files.json(name, CONFIG);
  if (config === null) {
    throw new TandemError('TANDEM_MODEL_INVALID', `${join(files.folder, name)} is missing: modules.json names it`);
  }
  const includePrompt = config.include_prompt ?? true;
  const { pooling_mode: given } = config;
  if (given !== undefined) {
    const modes = (typeof given === 'string' ? [given] : given).map((mode) => known(mode, join(files.folder, name)));
    if (modes.length > 0) return { modes, includePrompt };
  }
  const modes = BOOLEANS.flatMap(([key, mode]) => (config[key] === true ? [mode] : []));
  return { modes: modes.length > 0 ? modes : MEAN.modes, includePrompt };
}

function known(mode: string, file: string): PoolingMode {
  if ((POOLING_MODES as readonly string[]).includes(mode)) return mode as PoolingMode;
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `${file} has the pooling mode "${mode}"`, {
    remedy: `the modes are ${POOLING_MODES.join(', ')}`,
  });
}
