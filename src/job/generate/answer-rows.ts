/** Rows whose answers are being made: they end in any order, and are taken in the order of the input. */
import type { TandemError } from '../../errors.js';
import type { RowsDone, ValueColumn } from '../../output/sink.js';
import type { RowFailure, RowId } from '../../rows/source.js';
import { type Choice, openaiAnswer } from '../../tasks/generate/openai-answer.js';
import type { GeneratorModel } from './open-generator.js';
import type { PreparedPrompts } from './prepare-row.js';

/** One row of the input. */
export interface AnswerRow {
  readonly index: number;
  readonly id: RowId;
  readonly batchLine: boolean;
  readonly answer: 'plain' | 'chat' | 'completions';
  readonly model?: string | undefined;
  /** `null` for a row that failed before. */
  readonly prepared: PreparedPrompts | null;
  failure: RowFailure | null;
  /** Sequences that have not ended. */
  left: number;
}

/** The results of a row, in the order of the columns. */
export const RESULTS = ['answer', 'finish_reason', 'prompt_tokens', 'completion_tokens'];

export class AnswerRows {
  readonly #model: GeneratorModel;
  readonly #name: string;
  /** Whether rows have one answer each. */
  readonly #isOne: boolean;
  /** Rows of one write: tables are made of equal parts, whatever ended first. */
  readonly #block: number;
  readonly #rows: AnswerRow[] = [];
  readonly #ids: boolean;

  constructor(model: GeneratorModel, { name, block, hasIds }: { name: string; block: number; hasIds: boolean }) {
    this.#model = model;
    this.#name = name;
    this.#isOne = model.sampling.n === 1;
    this.#block = block;
    this.#ids = hasIds;
  }

  /** Rows that have been added and not taken. */
  get size(): number {
    return this.#rows.length;
  }

  add(row: AnswerRow): void {
    this.#rows.push(row);
  }

  ended(row: AnswerRow, error: TandemError | null): void {
    row.left -= 1;
    if (error && !row.failure) row.failure = failureOf(row, error);
  }

  /** The next rows that have ended, whole parts of them unless it is the `last`; `null` if there are none yet. */
  take(last: boolean): RowsDone | null {
    const open = this.#rows.findIndex(({ left }) => left > 0);
    const ended = open < 0 ? this.#rows.length : open;
    const count = last && open < 0 ? ended : ended - (ended % this.#block);
    return count === 0 ? null : this.#done(this.#rows.splice(0, count));
  }

  #done(rows: readonly AnswerRow[]): RowsDone {
    const firstRow = rows[0]!.index;
    const good = rows.filter(({ failure }) => failure === null);
    const answers = good.flatMap((row) =>
      row.answer === 'plain' ? [] : [[row.index - firstRow, this.#openai(row)] as const],
    );
    const batchLines = new Set(rows.flatMap(({ batchLine }, n) => (batchLine ? [n] : [])));
    return {
      ...{
        firstRow,
        rows: rows.length,
        failed: [],
        outputs: new Map(),
        columns: this.#columns(good),
        nonFiniteRows: 0,
      },
      failures: rows.flatMap(({ failure }) => (failure ? [failure] : [])),
      ids: this.#ids ? rows.map(({ id }) => id) : null,
      batchLines,
      ...(answers.length > 0 && { answers: new Map(answers) }),
    };
  }

  #columns(rows: readonly AnswerRow[]): ReadonlyMap<string, ValueColumn> {
    const of = <T>(value: (choice: Choice) => T) =>
      rows.map((row) => (this.#isOne ? value(choicesOf(row)[0]!) : choicesOf(row).map(value)));
    const kind = (type: string) => (this.#isOne ? type : `list<${type}>`);
    return new Map<string, ValueColumn>([
      [RESULTS[0]!, { type: kind('string'), values: of(({ text }) => text) }],
      [RESULTS[1]!, { type: kind('string'), values: of(({ finish }) => finish) }],
      [RESULTS[2]!, { type: 'int32', values: rows.map(({ prepared }) => prepared!.promptTokens) }],
      [RESULTS[3]!, { type: 'int32', values: rows.map((row) => sum(choicesOf(row).map(({ tokens }) => tokens))) }],
    ]);
  }

  #openai(row: AnswerRow): string {
    return openaiAnswer({
      kind: row.answer as 'chat' | 'completions',
      row: row.index,
      model: row.model ?? this.#name,
      choices: choicesOf(row),
      promptTokens: row.prepared!.promptTokens,
      token: (id) => this.#model.tokens.token(id),
    });
  }
}

function failureOf({ index, id, batchLine }: AnswerRow, { code, message }: TandemError): RowFailure {
  return { index, id, code, message, ...(batchLine && { batchLine }) };
}

function choicesOf({ prepared }: AnswerRow): Choice[] {
  return prepared!.sequences.map(({ sampler }) => ({
    text: sampler.text,
    finish: sampler.finish ?? 'length',
    tokens: sampler.ids.length,
    logprobs: prepared!.settings.logprobs === null ? null : sampler.logprobs,
  }));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
