/** Opens JSON lines from files or a stream as a source. */
import type { TensorSpec } from '../../tensor.js';
import type { ByteChunks } from '../byte-chunks.js';
import type { ReadingPlace } from '../row-range.js';
import type { Source } from '../source.js';
import { mayBeBatchLine } from './batch-line.js';
import { linesOf, TOO_LONG } from './jsonl-lines.js';
import { parseRow } from './jsonl-row.js';
import { ObjectSource } from './object-source.js';
import { type Items, RaggedObjects } from './ragged-objects.js';

export interface LinesOptions {
  readonly firstRow: number;
  /** Where reading may begin for `firstRow`. No line of an OpenAI batch file lies before it. */
  readonly at?: ReadingPlace | undefined;
  readonly maxLineBytes: number;
  readonly allowNonFinite: boolean;
}

/** Bytes of one file or stream, and its name in messages. */
export interface NamedChunks {
  readonly where: string;
  /** At this byte of the file. */
  readonly open: (from?: number) => Promise<ByteChunks>;
}

/** The lines of all `files`, in order. Each is opened when the one before it has ended; the first one at once. */
export async function openJsonl(
  files: readonly NamedChunks[],
  specs: readonly TensorSpec[],
  { maxLineBytes, at, ...options }: LinesOptions & { readonly rowsAbout?: number | null },
): Promise<Source> {
  const { items, release } = await openLines(files, maxLineBytes);
  try {
    return await ObjectSource.open({
      ...(at && { jump: { row: at.row, open: () => openLines(files, maxLineBytes, at) } }),
      ...{ items, parse: parseRow, specs, where: nameOf(files), release, ...options },
      mayBeBatchLine: (line) => line !== TOO_LONG && mayBeBatchLine(line),
    });
  } catch (error) {
    await release();
    throw error;
  }
}

type Line = Buffer | typeof TOO_LONG;
type RaggedOptions = ConstructorParameters<typeof RaggedObjects<Line>>[0];

/** The lines of files, which can be opened twice, or of a stream that is sampled, as rows that differ in length. `specs` have the rows' axis first. */
export function openRaggedJsonl(
  files: readonly NamedChunks[],
  specs: readonly TensorSpec[],
  { maxLineBytes, at, ...options }: LinesOptions & Pick<RaggedOptions, 'padding' | 'made'>,
): RaggedObjects<Line> {
  const optional = new Set(options.made.keys());
  return new RaggedObjects<Line>({
    ...options,
    specs: specs.map((spec) => ({ ...spec, shape: spec.shape.slice(1) })),
    open: () => openLines(files, maxLineBytes),
    ...(at && { jump: { row: at.row, open: () => openLines(files, maxLineBytes, at) } }),
    parse: (line, index) => parseRow(line, index, specs, optional),
    keep: (line) => (line === TOO_LONG ? line : Buffer.from(line)),
    mayBeBatchLine: (line) => line !== TOO_LONG && mayBeBatchLine(line),
  });
}

/** The rows of a sampled stream whose first rows have one shape, which all must have then. */
export function sameLengthLines(
  ragged: RaggedObjects<Line>,
  files: readonly NamedChunks[],
  specs: readonly TensorSpec[],
  allowNonFinite: boolean,
): Promise<Source> {
  const { items, release } = ragged.takeOver();
  return ObjectSource.open({
    ...{ items, release, parse: parseRow, specs, where: nameOf(files), firstRow: 0, allowNonFinite },
    mayBeBatchLine: (line) => line !== TOO_LONG && mayBeBatchLine(line),
  });
}

async function openLines(all: readonly NamedChunks[], maxBytes: number, at?: ReadingPlace): Promise<Items<Line>> {
  const files = all.slice(at?.file ?? 0);
  let now = await files[0]!.open(at?.byte);
  const release = () => now.release();
  const linesHere = (where: string, isStart = !at?.byte) => linesOf(now.chunks, { maxBytes, where, isStart });
  // A generator around another one costs promises for each line: a third of the time to read a row.
  if (files.length === 1) return { items: linesHere(files[0]!.where), release };
  async function* lines() {
    for (const [n, { where, open }] of files.entries()) {
      if (n > 0) {
        await now.release();
        now = await open();
      }
      yield* linesHere(where, n > 0 || !at?.byte);
    }
  }
  return { items: lines(), release };
}

function nameOf(files: readonly NamedChunks[]): string {
  const [first] = files;
  return files.length === 1 ? first!.where : `${first!.where} and ${files.length - 1} more`;
}
