/** Turns a model's logits into scores. */
import { TandemError } from '../../errors.js';
import type { ModelGraph } from '../../model/graph.js';
import type { Finish } from '../../rows/ragged-source.js';
import type { RowOutput } from '../../rows/source.js';
import { allocate, type Tensor } from '../../tensor.js';
import type { ScoreActivation } from '../model-folder/model-settings.js';
import { numbersOf } from '../numbers-of.js';
import { largest, scoresOf } from './scores.js';

/** Names of outputs. */
export const SCORE = 'score';
export const LABEL = 'label';

const EXPORT_FOR_TEXTS =
  'export the model for text classification: optimum-cli export onnx --task text-classification --model MODEL OUT';

/** Throws TANDEM_MODEL_UNSUPPORTED with this remedy where no output is known for scores. */
export function logitsOutput(
  { outputs, outputNames }: Pick<ModelGraph, 'outputs' | 'outputNames'>,
  remedy = EXPORT_FOR_TEXTS,
): string {
  const names = outputs.map((name) => outputNames?.get(name) ?? name);
  const found = names.includes('logits') ? 'logits' : names.length === 1 ? names[0] : undefined;
  if (found !== undefined) return found;
  throw new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `the model returns ${names.join(', ')}; scores are made of an output named logits`,
    { remedy },
  );
}

/** Keeps all scores, in the order of the model's labels: (rows, labels). */
export function scoresFinish(output: string, activation: ScoreActivation): Finish {
  return (outputs, rows) => {
    const { scores, labels } = scoresIn(outputs.get(output)!, activation, output, rows.length);
    const data = allocate('float32', [rows.length, labels]) as Float32Array;
    for (const [n, row] of scores.entries()) data.set(row, n * labels);
    return new Map<string, Tensor>([[SCORE, { dtype: 'float32', shape: [rows.length, labels], data }]]);
  };
}

/** The best `top` labels by their numbers, and their scores: (rows, top) each. */
export function bestFinish(output: string, activation: ScoreActivation, top: number): Finish {
  return (outputs, rows) => {
    const { scores, labels } = scoresIn(outputs.get(output)!, activation, output, rows.length);
    const count = Math.min(top, labels);
    const shape = [rows.length, count];
    const label = allocate('int32', shape) as Int32Array;
    const score = allocate('float32', shape) as Float32Array;
    for (const [n, row] of scores.entries()) {
      for (const [place, best] of largest(row, count).entries()) {
        label[n * count + place] = best;
        score[n * count + place] = row[best]!;
      }
    }
    return new Map<string, Tensor>([
      [LABEL, { dtype: 'int32', shape, data: label }],
      [SCORE, { dtype: 'float32', shape, data: score }],
    ]);
  };
}

export function notOne(labels: number): TandemError {
  return new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `the model gives ${labels} scores for a pair, and rerank takes one`,
    {
      remedy: 'give a cross-encoder with one label, or use tandem classify',
    },
  );
}

/** The number of labels that a row of an output has scores for. Throws TANDEM_MODEL_UNSUPPORTED where it has no scores. */
export function labelsIn({ shape }: RowOutput, name: string): number {
  if (shape.length > 1) throw noScores(name, ['rows', ...shape]);
  return shape[0] ?? 1;
}

/** Throws TANDEM_MODEL_INVALID unless there is a name for each score. */
export function checkLabels(names: readonly string[] | null, scores: number): void {
  if (names === null || names.length === scores) return;
  throw new TandemError(
    'TANDEM_MODEL_INVALID',
    `config.json names ${names.length} labels, and the model gives ${scores} scores`,
    {
      remedy: 'correct id2label in config.json, or copy the model again',
    },
  );
}

function noScores(name: string, shape: readonly unknown[]): TandemError {
  return new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `the output ${name} is [${shape.join(', ')}], not scores of a row`,
    {
      remedy: 'export the model for sequence classification',
    },
  );
}

interface Scores {
  readonly scores: readonly Float64Array[];
  readonly labels: number;
}

function scoresIn({ dtype, shape, data }: Tensor, activation: ScoreActivation, name: string, rows: number): Scores {
  if (shape.length > 2 || shape[0] !== rows) throw noScores(name, shape);
  const labels = shape[1] ?? 1;
  const scores = Array.from({ length: rows }, (_, n) =>
    scoresOf(numbersOf(data.subarray(n * labels, (n + 1) * labels), dtype), activation),
  );
  return { scores, labels };
}
