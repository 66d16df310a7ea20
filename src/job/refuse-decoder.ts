/** A model that continues texts, given to a verb that runs rows once: refused, and `tandem generate` named. */
import { asTandemError, TandemError } from '../errors.js';
import { decoderFacts } from '../model/decoder/facts.js';
import type { ModelGraph } from '../model/graph.js';
import type { GivenRows } from '../rows/given-values.js';

/** Codes of rows that the model cannot take as they are. */
const UNFIT: readonly string[] = ['TANDEM_MODEL_UNSUPPORTED', 'TANDEM_INPUT_INVALID'];

/** Throws TANDEM_MODEL_UNSUPPORTED for a decoder whose past is not given by `set`: no rows of another kind have one. */
export function refuseDecoder(graph: ModelGraph, set: GivenRows['set'], why = ''): void {
  const past = pastOf(graph);
  if (past === null || past in (set ?? {})) return;
  const input = `its input "${past}" is what the step before hands on`;
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `${graph.path} continues texts token by token: ${input}${why}`, {
    remedy: `answer prompts with it: tandem generate ${graph.path} -i PROMPTS -o ANSWERS`,
  });
}

/** Rows that may have a past of their own, so a decoder is refused only where they do not fit. Rejects as `rows` and `refuseDecoder`. */
export async function orDecoder<T>(graph: ModelGraph, set: GivenRows['set'], rows: Promise<T>): Promise<T> {
  try {
    return await rows;
  } catch (error) {
    const { code, message } = asTandemError(error);
    if (UNFIT.includes(code)) refuseDecoder(graph, set, `; ${message}`);
    throw error;
  }
}

/** The first input of past state; `null` for a model that is no decoder. */
function pastOf(graph: ModelGraph): string | null {
  try {
    return decoderFacts(graph).pairs[0]!.past;
  } catch (error) {
    if (error instanceof TandemError) return null;
    throw error;
  }
}
