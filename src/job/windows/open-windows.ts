/** Opens the rows of a job as windows where they differ in length, or leave out inputs that can be made. */
import { stat } from 'node:fs/promises';
import type { ModelGraph } from '../../model/graph.js';
import { type Format, holdsRecords, STANDARD_STREAM } from '../../rows/format.js';
import { formatOf } from '../../rows/format-of-path.js';
import { filesOf } from '../../rows/input-files.js';
import { openRaggedJsonl, sameLengthLines } from '../../rows/json/open-jsonl.js';
import type { ObjectsSurvey } from '../../rows/json/ragged-objects.js';
import { madeInputs, paddingOf } from '../../rows/made-inputs.js';
import { linesOf, type SourceInput } from '../../rows/open-source.js';
import type { RaggedSource } from '../../rows/ragged-source.js';
import { openRaggedRecords } from '../../rows/record-rows.js';
import { DEFAULT_MAX_ROW_BYTES } from '../../rows/record-source.js';
import type { RowRange } from '../../rows/row-range.js';
import type { Source } from '../../rows/source.js';
import { raggedWithin } from '../../rows/within-range.js';
import type { TensorSpec } from '../../tensor.js';
import { type Windowed, windowed } from './load-windows.js';

export interface OpenWindowsOptions {
  readonly format?: string | undefined;
  readonly firstRow: number;
  /** The rows of a shard; `earlier` is then known. */
  readonly range?: RowRange | undefined;
  readonly allowNonFinite?: boolean | undefined;
  /** Whether an earlier run of the job had windows; `null` if there was none. */
  readonly earlier: boolean | null;
}

/**
 * `null` where all rows have one shape. Files are read once to know how long their rows are; of a pipe the first rows are looked at, and where these have
 * one shape, its rows are a source of that shape. `specs` have the rows' axis first.
 */
export async function openWindows(
  graph: ModelGraph,
  input: SourceInput,
  specs: readonly TensorSpec[],
  { format, firstRow, range, allowNonFinite = false, earlier }: OpenWindowsOptions,
): Promise<Windowed | Source | null> {
  const isOpen = specs.some(({ shape, openRank }) => !openRank && shape.slice(1).includes(null));
  if (!isOpen || earlier === false || specs.some(({ openRank }) => openRank)) return null;
  if (input instanceof Map) return null;
  const files = filesOf(input);
  const kind = formatOf(files[0]!, format);
  if (!holdsRecords(kind)) return null;
  const rowSpecs = specs.map((spec) => ({ ...spec, shape: spec.shape.slice(1) }));
  const reading = {
    ...{ format, firstRow, range, at: range?.at, allowNonFinite, maxLineBytes: DEFAULT_MAX_ROW_BYTES },
    ...{ padding: paddingOf(graph, rowSpecs), made: madeInputs(rowSpecs) },
  };
  if (!(await canReadTwice(files))) return openSampled(files, kind, specs, reading);
  const { ragged } = await openRagged(files, kind, specs, reading);
  if (earlier) return windowed({ ragged: range ? raggedWithin(ragged, range, firstRow) : ragged }, null);
  const survey = await ragged.survey();
  if (survey.lengths.size <= 1 && !survey.makes) return null;
  return windowed({ ragged }, survey);
}

/** Of lines or of a table. */
interface RaggedSampled extends RaggedSource {
  survey(): Promise<ObjectsSurvey>;
  sample(): Promise<ObjectsSurvey>;
}

type Reading = Parameters<typeof openRaggedRecords>[2];

/** Rows of a pipe: later ones may be longer than the first ones. */
async function openSampled(
  files: readonly string[],
  kind: Format,
  specs: readonly TensorSpec[],
  reading: Reading,
): Promise<Windowed | Source> {
  const { ragged, sameLength } = await openRagged(files, kind, specs, reading);
  try {
    const survey = await ragged.sample();
    if (survey.lengths.size <= 1 && !survey.makes) return await sameLength();
    return windowed({ ragged }, survey);
  } catch (error) {
    await ragged.close();
    throw error;
  }
}

async function openRagged(
  files: readonly string[],
  kind: Format,
  specs: readonly TensorSpec[],
  reading: Reading,
): Promise<{ ragged: RaggedSampled; sameLength: () => Promise<Source> }> {
  if (kind !== 'jsonl') return openRaggedRecords(files, specs, reading);
  const lines = linesOf(files);
  const ragged = openRaggedJsonl(lines, specs, reading);
  return { ragged, sameLength: () => sameLengthLines(ragged, lines, specs, reading.allowNonFinite) };
}

/** Regular files, and no pipes or devices. */
async function canReadTwice(files: readonly string[]): Promise<boolean> {
  if (files.includes(STANDARD_STREAM)) return false;
  const found = await Promise.all(files.map((file) => stat(file).catch(() => null)));
  return found.every((each) => each?.isFile());
}
