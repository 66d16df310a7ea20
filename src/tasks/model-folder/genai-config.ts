/** genai_config.json, as onnxruntime-genai's model builder writes it beside a decoder. */
import { z } from 'zod';
import { TandemError } from '../../errors.js';
import type { SettingsFiles } from './settings-file.js';

const IDS = z.union([z.int(), z.array(z.int())]).nullish();
const NAMES = z.record(z.string(), z.unknown()).nullish();

const CONFIG = z.looseObject({
  model: z.looseObject({
    type: z.string().nullish(),
    context_length: z.int().positive().nullish(),
    eos_token_id: IDS,
    vocab_size: z.int().positive().nullish(),
    decoder: z
      .looseObject({ filename: z.string().nullish(), inputs: NAMES, outputs: NAMES, pipeline: z.unknown().optional() })
      .nullish(),
  }),
  search: z
    .looseObject({
      do_sample: z.boolean().nullish(),
      temperature: z.number().nullish(),
      top_k: z.number().nullish(),
      top_p: z.number().nullish(),
      repetition_penalty: z.number().nullish(),
    })
    .nullish(),
});

export type GenaiConfig = z.infer<typeof CONFIG>;

export const GENAI_FILE = 'genai_config.json';

/** `null` without the file. Throws TANDEM_MODEL_INVALID, and TANDEM_MODEL_UNSUPPORTED for a decoder that is several files already. */
export async function readGenaiConfig(files: SettingsFiles): Promise<GenaiConfig | null> {
  const config = await files.json(GENAI_FILE, CONFIG);
  if (config?.model.decoder?.pipeline === undefined) return config;
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `${GENAI_FILE} describes a decoder of several files (pipeline)`, {
    remedy:
      'export the model as one file: python -m onnxruntime_genai.models.builder -m MODEL -o FOLDER -p fp32 -e cpu',
  });
}
