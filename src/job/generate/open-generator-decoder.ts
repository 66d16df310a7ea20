/** Opens the decoder of a model that generates texts: its stages, slots and length as they were asked for. */
import { type DecoderStageOptions, type OpenedDecoder, openDecoder } from '../../decoder/open-decoder.js';
import { TandemError } from '../../errors.js';
import type { DecoderNames } from '../../model/decoder/facts.js';
import type { StageOptions } from '../../plan/stage-options.js';
import type { GenaiConfig } from '../../tasks/model-folder/genai-config.js';
import type { ModelRequest } from './generate-request.js';
import type { GeneratorModel } from './open-generator.js';

/** Throws what `openDecoder` throws, and TANDEM_USAGE for a stage that a decoder cannot have. */
export function openGeneratorDecoder(
  { folder, maxLength }: GeneratorModel,
  { stages, slots }: Pick<ModelRequest, 'stages' | 'slots'>,
): Promise<OpenedDecoder> {
  return openDecoder(folder.modelFile, {
    maxLength,
    ...(stages?.length && { stages: stages.map(stageOf) }),
    ...(slots !== undefined && { slots }),
    names: namesOf(folder.genai),
  });
}

function stageOf({ device, provider, threads, memory, ...others }: StageOptions, stage: number): DecoderStageOptions {
  const [other] = Object.entries(others).find(([, value]) => value !== undefined && value !== false) ?? [];
  if (other === undefined) {
    return {
      device,
      ...(provider !== undefined && { provider }),
      ...(threads !== undefined && { threads }),
      ...(memory !== undefined && { memory }),
    };
  }
  const name = other === 'beside' ? 'a replica (+)' : `${other}=`;
  throw new TandemError('TANDEM_USAGE', `stage ${stage} has ${name}, which stages of a decoder do not take`, {
    remedy: 'give a device, provider=, threads= and memory=; the layers are shared out by their weights',
  });
}

/** The names that a model's configuration gives to inputs and outputs. */
function namesOf(genai: GenaiConfig | null): DecoderNames {
  const { inputs, outputs } = genai?.model.decoder ?? {};
  const name = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  const [ids, mask, positions] = [name(inputs?.input_ids), name(inputs?.attention_mask), name(inputs?.position_ids)];
  const logits = name(outputs?.logits);
  const states = ['key', 'value'].flatMap((part) => {
    const [past, present] = [name(inputs?.[`past_${part}_names`]), name(outputs?.[`present_${part}_names`])];
    return past && present ? [[past, present] as const] : [];
  });
  return {
    ...(ids && { ids }),
    ...(mask && { mask }),
    ...(positions && { positions }),
    ...(logits && { logits }),
    ...(states.length > 0 && { states }),
  };
}
