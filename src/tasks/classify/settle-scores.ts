/** Makes what is written of scores: those of all labels, the best labels by name, or the one score of a pair; and the answers to batch lines. */
import { allocate, type Tensor } from '../../tensor.js';
import { settle, type Written } from '../settle.js';
import type { Task } from '../task.js';
import { classifyAnswer, pairsAnswer, type ScoredLine } from '../texts/score-answer.js';
import { tokensOf } from '../texts/tokens-of.js';
import { checkLabels, LABEL, notOne, SCORE } from './score-finish.js';
import { largest } from './scores.js';

export interface ScoreSettings {
  /** The model's name in answers to batch lines. */
  readonly model: string;
  /** The place of the attention mask among the fed inputs; `null` without one. */
  readonly mask: number | null;
  /** Of the labels; `null` if the model's folder gives none. */
  readonly names: readonly string[] | null;
}

/** (rows, labels), in the order of the model's labels. */
export function settleAll(settings: ScoreSettings): Task['settle'] {
  return settleScores(settings, classify(settings), ({ rows, labels }) => ({
    outputs: new Map([[SCORE, scoreTensor(rows, labels)]]),
  }));
}

/** (rows). Throws TANDEM_MODEL_UNSUPPORTED for a model with several labels. */
export function settlePairs(settings: ScoreSettings): Task['settle'] {
  return settleScores(settings, pairsAnswer, ({ rows, labels }) => {
    if (labels !== 1) throw notOne(labels);
    return { outputs: new Map([[SCORE, scoreTensor(rows, null)]]) };
  });
}

/** The best label and its score; with `top` more than one, lists of them, the best first. */
export function settleBest(top: number, settings: ScoreSettings): Task['settle'] {
  const nameOf = nameIn(settings);
  const { names } = settings;
  return settleScores(settings, classify(settings), ({ rows, labels }) => {
    checkLabels(names, labels);
    const best = rows.map((row) => largest(row, top));
    const chosen = best.map((places, n) => places.map((place) => rows[n]![place]!));
    const isOne = top === 1;
    const values = best.map((places) => places.map(nameOf));
    return {
      outputs: new Map([[SCORE, scoreTensor(chosen, isOne ? null : Math.min(top, labels))]]),
      columns: new Map([
        [LABEL, isOne ? { type: 'string', values: values.map(([name]) => name!) } : { type: 'list<string>', values }],
      ]),
    };
  });
}

/** Scores of all labels, of each record those of its first text. */
interface Scored {
  readonly rows: readonly Float64Array[];
  readonly labels: number;
}

function settleScores(
  { model, mask }: ScoreSettings,
  answer: (line: ScoredLine) => string,
  write: (scored: Scored) => Pick<Written, 'outputs' | 'columns'>,
): Task['settle'] {
  return (parts) =>
    settle(parts, (records) => {
      const kept = parts.outputs.get(SCORE);
      if (!kept) return { outputs: new Map(), nonFiniteRows: 0 };
      const labels = kept.shape[1]!;
      const scores = records.map(({ texts }) => texts.map((places) => meanOf(kept, places)));
      const answers = new Map<number, string>();
      for (const [n, { record, texts, index, batchLine }] of records.entries()) {
        if (!batchLine) continue;
        const tokens = texts.flat().reduce((sum, place) => sum + tokensOf(parts.read.good[place]!, mask), 0);
        answers.set(index - parts.firstRow, answer({ record, scores: scores[n]!, tokens, model }));
      }
      const nonFiniteRows = scores.filter((all) => !all.every((row) => row.every(Number.isFinite))).length;
      return { ...write({ rows: scores.map(([first]) => first!), labels }), answers, nonFiniteRows };
    });
}

/** The scores of a text in several parts are the mean of theirs. */
function meanOf({ shape, data }: Tensor, places: readonly number[]): Float64Array {
  const labels = shape[1]!;
  const sum = new Float64Array(labels);
  for (const place of places) for (let i = 0; i < labels; i++) sum[i]! += Number(data[place * labels + i]);
  return sum.map((value) => value / places.length);
}

function classify(settings: ScoreSettings): (line: ScoredLine) => string {
  const nameOf = nameIn(settings);
  return (line) => classifyAnswer(line, nameOf);
}

function nameIn({ names }: ScoreSettings): (label: number) => string {
  return (label) => names?.[label] ?? `LABEL_${label}`;
}

function scoreTensor(rows: readonly ArrayLike<number>[], width: number | null): Tensor {
  const shape = width === null ? [rows.length] : [rows.length, width];
  const data = allocate('float32', shape) as Float32Array;
  for (const [n, row] of rows.entries()) data.set(row, n * (width ?? 1));
  return { dtype: 'float32', shape, data };
}
