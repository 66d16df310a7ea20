/** config.json of a transformer: its kind, its labels, and what becomes of its scores. */
import { join } from 'node:path';
import { z } from 'zod';
import type { SettingsFiles } from './settings-file.js';

export interface ModelSettings {
  /** `bert`, `roberta`, …; '' if unknown. */
  readonly kind: string;
  /** In the order of the model's scores; `null` without id2label. */
  readonly labels: readonly string[] | null;
  /** How scores become numbers from 0 to 1. */
  readonly activation: ScoreActivation;
  /** Where that was read, for a person. */
  readonly activationOrigin: string;
  readonly padId: number | null;
}

export type ScoreActivation = 'sigmoid' | 'softmax' | 'none';

const CONFIG = z.looseObject({
  model_type: z.string().nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
  num_labels: z.int().nullish(),
  problem_type: z.string().nullish(),
  pad_token_id: z.number().nullish(),
  sentence_transformers: z.looseObject({ activation_fn: z.string().nullish() }).nullish(),
  sbert_ce_default_activation_function: z.string().nullish(),
});

/** By the last part of a class name. */
const BY_CLASS: Readonly<Record<string, ScoreActivation>> = {
  Sigmoid: 'sigmoid',
  Identity: 'none',
  Softmax: 'softmax',
};

/** Throws TANDEM_MODEL_INVALID. */
export async function readModelSettings(files: SettingsFiles, transformer: string): Promise<ModelSettings> {
  const path = join(transformer, 'config.json');
  const config = await files.json(path, CONFIG);
  const labels = labelsOf(config?.id2label);
  const { activation, key } = activationOf(config, labels?.length ?? config?.num_labels ?? null);
  const padId = config?.pad_token_id;
  return {
    kind: config?.model_type ?? '',
    labels,
    activation,
    activationOrigin: `${key}${config ? ` in ${path}` : ''}`,
    padId: padId != null && Number.isInteger(padId) && padId >= 0 ? padId : null,
  };
}

/** `null` unless the numbers go from 0 without a gap. */
function labelsOf(id2label: Readonly<Record<string, string>> | null | undefined): string[] | null {
  if (!id2label) return null;
  const labels = Object.keys(id2label).map((_, n) => id2label[String(n)]);
  return labels.length > 0 && labels.every((label) => label !== undefined) ? (labels as string[]) : null;
}

function activationOf(
  config: z.infer<typeof CONFIG> | null,
  count: number | null,
): { activation: ScoreActivation; key: string } {
  const named = config?.sentence_transformers?.activation_fn ?? config?.sbert_ce_default_activation_function;
  const byClass = BY_CLASS[named?.split('.').at(-1) ?? ''];
  if (byClass) return { activation: byClass, key: `activation_fn ${named}` };
  if (config?.problem_type === 'multi_label_classification') return { activation: 'sigmoid', key: 'problem_type' };
  if (config?.problem_type === 'regression') return { activation: 'none', key: 'problem_type' };
  if (count === 1) return { activation: 'sigmoid', key: 'a single label' };
  return { activation: 'softmax', key: 'no problem_type that says otherwise' };
}
