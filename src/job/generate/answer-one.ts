/** Answers one prompt, and hands its text out as it is made. */
import { asTandemError, TandemError } from '../../errors.js';
import { RowFault } from '../../rows/row-fault.js';
import { typedPrompt } from '../../tasks/generate/row-prompts.js';
import type { SequenceRequest } from '../../tasks/generate/sequence.js';
import type { ModelRequest } from './generate-request.js';
import { formsOf, openGeneratorModel } from './open-generator.js';
import { openGeneratorDecoder } from './open-generator-decoder.js';
import { prepareRow } from './prepare-row.js';

export interface OneAnswer {
  readonly text: string;
  readonly finish: 'stop' | 'length';
  readonly promptTokens: number;
  readonly newTokens: number;
  /** Without loading. */
  readonly seconds: number;
}

export interface AnswerListener {
  readonly onText?: (piece: string) => void;
  readonly onNotice?: (text: string) => void;
}

/** Throws what the model, its files and its stages throw; the signal's reason. */
export async function answerOne(
  request: ModelRequest,
  prompt: string,
  { onText, onNotice }: AnswerListener,
  signal?: AbortSignal,
): Promise<OneAnswer> {
  const model = await openGeneratorModel(request);
  for (const origin of model.origins) onNotice?.(origin);
  signal?.throwIfAborted();
  const decoder = await openGeneratorDecoder(model, { ...request, slots: 1 });
  try {
    const { vocabulary, maxLength } = decoder;
    const forms = formsOf(model, vocabulary);
    const typed = typedPrompt(prompt, { chat: model.template !== null, system: request.generate.system });
    const preparing = {
      model,
      vocabulary,
      maxLength,
      form: request.generate.form,
      forms,
      ...(onText && { onText }),
    };
    const row = { prompts: [typed], settings: { n: 1 }, answer: 'plain' as const };
    const { sequences, promptTokens } = await prepareRow(row, 0, preparing).catch(asUsage);
    const [sequence] = sequences;
    async function* one(): AsyncGenerator<SequenceRequest> {
      yield { row: 0, ...sequence! };
    }
    let failure: TandemError | null = null;
    const { seconds } = await decoder.run(
      one(),
      () => {},
      (_, error) => {
        failure = error;
      },
      signal,
    );
    const { sampler } = sequence!;
    if (failure ?? sampler.failure) throw failure ?? sampler.failure;
    return { text: sampler.text, finish: sampler.finish!, promptTokens, newTokens: sampler.ids.length, seconds };
  } finally {
    await decoder.close();
  }
}

function asUsage(error: unknown): never {
  if (error instanceof RowFault) throw new TandemError('TANDEM_USAGE', error.message);
  throw asTandemError(error);
}
