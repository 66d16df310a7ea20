/** Lines of a byte stream: bounded in length, blank ones passed over, wherever the chunks happen to end. */
import { TandemError } from '../../errors.js';

const NEWLINE = 0x0a;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const UTF16_BOMS = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])];

/** What stands in place of a line with more bytes than are held. */
export const TOO_LONG = Symbol('too long');

/**
 * The lines of `chunks` that are not blank, without their ends (LF or CRLF) and without a byte order mark at the start.
 * No more than `maxBytes` of a line are held; a longer one is passed over and told as TOO_LONG.
 * Throws TANDEM_INPUT_INVALID for UTF-16. `where` names the input for people.
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  { maxBytes, where }: { maxBytes: number; where: string },
): AsyncGenerator<Buffer | typeof TOO_LONG> {
  const line = new PartialLine(maxBytes);
  let first = true;
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

/** The pieces of the line that is being read. */
class PartialLine {
  readonly #maxBytes: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#bytes <= this.#maxBytes) this.#pieces.push(piece);
    else this.#pieces = [];
  }

  take(): Buffer | typeof TOO_LONG {
    const whole = this.#bytes <= this.#maxBytes ? joined(this.#pieces) : TOO_LONG;
    this.#pieces = [];
    this.#bytes = 0;
    return whole;
  }
}

/** Most lines are one piece: no copy then. */
function joined(pieces: readonly Uint8Array[]): Buffer {
  const [only] = pieces;
  if (only && pieces.length === 1) return Buffer.from(only.buffer, only.byteOffset, only.byteLength);
  return Buffer.concat(pieces);
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

/** Nothing but spaces, tabs and the CR of a CRLF, which JSON passes over at the end of a line that is not blank. */
function isBlank(line: Buffer | typeof TOO_LONG): boolean {
  return line !== TOO_LONG && line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
