/** The bodies of the answers to lines of an OpenAI batch file that ask for scores, as vLLM's server gives them: `/rerank`, `/score`, `/classify`. */
import type { RowRecord } from '../../rows/record-source.js';
import { largest } from '../classify/scores.js';
import { modelAndUsage, shortest } from './answer-body.js';
import { bodyOf, pairsRequest } from './batch-request.js';

export interface ScoredLine {
  readonly record: RowRecord;
  /** Of each of its texts or pairs: the scores of all labels. */
  readonly scores: readonly Float64Array[];
  /** Of all its texts, special ones included. */
  readonly tokens: number;
  /** The model's name where the line gives none. */
  readonly model: string;
}

/** As JSON text: the best documents first, or the scores of the pairs in their order. The same line gives the same text. */
export function pairsAnswer({ record, scores, tokens, model }: ScoredLine): string {
  const { kind, pairs, top } = pairsRequest(record);
  const firsts = Float64Array.from(scores, ([first]) => first!);
  const about = modelAndUsage(record, model, tokens);
  if (kind === 'score') {
    const data = Array.from(firsts, (score, index) => ({ index, object: 'score', score: shortest(score) }));
    return JSON.stringify({ object: 'list', data, ...about });
  }
  const hasTexts = bodyOf(record).return_documents !== false;
  const results = largest(firsts, top ?? firsts.length).map((index) => ({
    index,
    ...(hasTexts && { document: { text: pairs[index]![1] } }),
    relevance_score: shortest(firsts[index]!),
  }));
  return JSON.stringify({ ...about, results });
}

/** As JSON text: of each text the best label by name, and the scores of all labels. */
export function classifyAnswer(
  { record, scores, tokens, model }: ScoredLine,
  nameOf: (label: number) => string,
): string {
  const data = scores.map((row, index) => ({
    index,
    label: nameOf(largest(row, 1)[0]!),
    probs: Array.from(row, shortest),
    num_classes: row.length,
  }));
  return JSON.stringify({ object: 'list', data, ...modelAndUsage(record, model, tokens) });
}
