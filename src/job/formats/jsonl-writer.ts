/** Rows out as JSON lines: `{"id":…,"outputs":{name: nested numbers}}`, or the answer to a line of an OpenAI batch file; failed rows have no line. */
import type { Tensor } from '../../tensor.js';
import type { RowsDone } from '../sink.js';
import { answerAround } from './batch-line.js';
import { TEXT_OF } from './number-text.js';
import { type ByteWriter, checkRowsAxis, type RowsWriter, type WriterState } from './rows-writer.js';

/** Text is handed on when it has grown to this many characters, and at the end of each micro-batch. */
const CHUNK = 1 << 20;
/** Elements that are turned into text at once, so that one huge row cannot become one huge string. */
const ELEMENTS_AT_ONCE = 4096;

export class JsonlWriter implements RowsWriter {
  readonly #out: ByteWriter;

  constructor(out: ByteWriter) {
    this.#out = out;
  }

  async write(batch: RowsDone): Promise<void> {
    for (const [name, tensor] of batch.outputs) checkRowsAxis(name, tensor, batch.rows);
    let text = '';
    for (const piece of textOfRows(batch)) {
      text += piece;
      if (text.length < CHUNK) continue;
      await this.#out.write(Buffer.from(text));
      text = '';
    }
    if (text !== '') await this.#out.write(Buffer.from(text));
  }

  state(): WriterState {
    return {};
  }

  async settle(): Promise<void> {}

  async seal(): Promise<void> {}

  async dispose(): Promise<void> {}
}

function* textOfRows({ firstRow, rows, outputs, failures, ids, batchLines }: RowsDone): Generator<string> {
  const failed = new Set(failures.map(({ index }) => index));
  for (let row = 0; row < rows; row++) {
    if (failed.has(firstRow + row)) continue;
    const id = ids?.[row] ?? firstRow + row;
    const [head, tail] = batchLines?.has(row)
      ? answerAround(firstRow + row, id)
      : [`{"id":${JSON.stringify(id)},"outputs":`, '}'];
    yield `${head}{`;
    let comma = '';
    for (const [name, tensor] of outputs) {
      yield `${comma}${JSON.stringify(name)}:`;
      yield* textOfElement(tensor, 1, row);
      comma = ',';
    }
    yield `}${tail}\n`;
  }
}

/** Text of the sub-array that `at` counts on the axes before `axis`. */
function* textOfElement(tensor: Tensor, axis: number, at: number): Generator<string> {
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
