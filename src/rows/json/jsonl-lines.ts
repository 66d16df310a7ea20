/** Splits a byte stream into lines of bounded length and skips blank lines. Chunks may end anywhere. */
import { TandemError } from '../../errors.js';

const NEWLINE = 0x0a;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const UTF16_BOMS = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])];

/** Yielded instead of a line that is longer than the limit. */
export const TOO_LONG = Symbol('too long');

/**
 * The lines of `chunks` that are not blank, without their ends (LF or CRLF) and without a byte order mark at the start.
 * At most `maxBytes` of a line are kept; a longer line is skipped and yielded as TOO_LONG.
 * Throws TANDEM_INPUT_INVALID for UTF-16. `isStart`: whether the chunks begin where the file does. `where` is the name of the input in messages.
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  { maxBytes, where, isStart = true }: { maxBytes: number; where: string; isStart?: boolean },
): AsyncGenerator<Buffer | typeof TOO_LONG> {
  const line = new PartialLine(maxBytes);
  let first = isStart;
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const newline = chunk.indexOf(NEWLINE, from);
      line.add(chunk.subarray(from, newline < 0 ? chunk.length : newline));
      if (newline < 0) break;
      from = newline + 1;
      const whole = withoutMark(line.take(), first, where);
      first = false;
      if (!isBlank(whole)) yield whole;
    }
  }
  const last = withoutMark(line.take(), first, where);
  if (!isBlank(last)) yield last;
}

/** The chunk parts of the line that is being read. */
class PartialLine {
  readonly #maxBytes: number;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(part: Uint8Array): void {
    this.#bytes += part.length;
    if (this.#bytes <= this.#maxBytes) this.#parts.push(part);
    else this.#parts = [];
  }

  take(): Buffer | typeof TOO_LONG {
    const whole = this.#bytes <= this.#maxBytes ? joined(this.#parts) : TOO_LONG;
    this.#parts = [];
    this.#bytes = 0;
    return whole;
  }
}

/** Most lines are in one chunk and need no copy. */
function joined(parts: readonly Uint8Array[]): Buffer {
  const [only] = parts;
  if (only && parts.length === 1) return Buffer.from(only.buffer, only.byteOffset, only.byteLength);
  return Buffer.concat(parts);
}

function withoutMark(line: Buffer | typeof TOO_LONG, first: boolean, where: string): Buffer | typeof TOO_LONG {
  if (!first || line === TOO_LONG) return line;
  if (UTF16_BOMS.some((mark) => line.subarray(0, 2).equals(mark))) {
    throw new TandemError('TANDEM_INPUT_INVALID', `${where} is UTF-16 text`, {
      remedy: 'save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE',
    });
  }
  return line.subarray(0, 3).equals(BOM) ? line.subarray(3) : line;
}

/** Whether a line has only spaces, tabs and the CR of a CRLF. JSON ignores these at the end of a line. */
function isBlank(line: Buffer | typeof TOO_LONG): boolean {
  return line !== TOO_LONG && line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
