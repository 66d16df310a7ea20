/**
 * Writes rows as JSON lines: `{"id":…,"outputs":{name: nested numbers}}`, with the kept columns between the two, or the answer to a line of an
 * OpenAI batch file; failed rows have no line.
 */

import { answerAround, answerLine } from '../../rows/json/batch-line.js';
import { goodRows } from '../../rows/source.js';
import type { Tensor } from '../../tensor.js';
import { type ByteWriter, checkRowsAxis, type RowsWriter, rowRangesOf, type WriterState } from '../rows-writer.js';
import type { RowsDone } from '../sink.js';
import { TEXT_OF } from './number-text.js';
import { valueText } from './value-text.js';

/** Text is written when it has this many characters, and at the end of each micro-batch. */
const CHUNK = 1 << 20;
/** Elements per string, so that a huge row does not become one huge string. */
const ELEMENTS_AT_ONCE = 4096;

export class JsonlWriter implements RowsWriter {
  readonly #out: ByteWriter;

  constructor(out: ByteWriter) {
    this.#out = out;
  }

  async write(batch: RowsDone): Promise<void> {
    for (const [name, tensor] of batch.outputs) checkRowsAxis(name, tensor, goodRows(batch));
    let text = '';
    for (const part of textOfRows(batch)) {
      text += part;
      if (text.length < CHUNK) continue;
      await this.#out.write(Buffer.from(text));
      text = '';
    }
    if (text !== '') await this.#out.write(Buffer.from(text));
  }

  state(): WriterState {
    return {};
  }

  async updateHeaders(): Promise<void> {}

  async finish(): Promise<void> {}

  async dispose(): Promise<void> {}
}

function* textOfRows(batch: RowsDone): Generator<string> {
  for (const { from, to, outputRow } of rowRangesOf(batch)) {
    for (let row = from; outputRow !== null && row < to; row++) yield* textOfRow(batch, row, outputRow + row - from);
  }
}

function* textOfRow(batch: RowsDone, row: number, outputRow: number): Generator<string> {
  const { firstRow, outputs, ragged = [], ids, batchLines } = batch;
  const id = ids?.[row] ?? firstRow + row;
  const answer = batch.answers?.get(row);
  if (answer !== undefined) {
    yield `${answerLine(firstRow + row, id, answer)}\n`;
    return;
  }
  const [head, tail] = batchLines?.has(row)
    ? answerAround(firstRow + row, id)
    : [`{"id":${JSON.stringify(id)},${keptText(batch, row)}"outputs":`, '}'];
  yield `${head}{`;
  let comma = '';
  for (const [name, tensor] of outputs) {
    yield `${comma}${JSON.stringify(name)}:`;
    yield* textOfElement(tensor, 1, outputRow);
    comma = ',';
  }
  for (const [name, tensors] of ragged) {
    yield `${comma}${JSON.stringify(name)}:`;
    yield* textOfElement(tensors[outputRow]!, 0, 0);
    comma = ',';
  }
  for (const [name, { values }] of batch.columns ?? []) {
    yield `${comma}${JSON.stringify(name)}:${valueText(values[outputRow])}`;
    comma = ',';
  }
  yield `}${tail}\n`;
}

/** Members that the line has anyway, under these names. */
const OWN: ReadonlySet<string> = new Set(['id', 'outputs']);

function keptText({ kept }: RowsDone, row: number): string {
  if (!kept) return '';
  const members = Object.entries(kept.records[row] ?? {}).filter(([name]) => !OWN.has(name));
  return members.map(([name, value]) => `${JSON.stringify(name)}:${valueText(value)},`).join('');
}

/** Text of the sub-array at index `at`, counted over the axes before `axis`. */
export function* textOfElement(tensor: Tensor, axis: number, at: number): Generator<string> {
  const { dtype, shape, data } = tensor;
  const length = shape[axis];
  if (length === undefined) {
    yield TEXT_OF[dtype](data, at);
  } else if (axis < shape.length - 1) {
    yield '[';
    for (let n = 0; n < length; n++) {
      if (n > 0) yield ',';
      yield* textOfElement(tensor, axis + 1, at * length + n);
    }
    yield ']';
  } else {
    yield '[';
    yield* textOfList(tensor, at * length, (at + 1) * length);
    yield ']';
  }
}

/** Elements [from, to), with commas between them. */
function* textOfList({ dtype, data }: Tensor, from: number, to: number): Generator<string> {
  const textOf = TEXT_OF[dtype];
  for (let start = from; start < to; start += ELEMENTS_AT_ONCE) {
    const length = Math.min(ELEMENTS_AT_ONCE, to - start);
    const texts = Array.from({ length }, (_, n) => textOf(data, start + n)).join(',');
    yield start === from ? texts : `,${texts}`;
  }
}
