/** The summary of a job that generates texts, as `--json` prints it. Its fields are stable; `schema` changes if their meaning does. */
import { residentMemory } from '../../machine/resident-memory.js';
import type { DecodeStageSummary } from '../../tasks/generate/sequence.js';
import type { GeneratedRows } from './generate-rows.js';

/** Seconds and tokens; shares are 0 … 1. */
export interface GenerateSummary {
  readonly schema: 1;
  /** Of the output; `rowsBefore` of them were made by earlier runs. */
  readonly rows: number;
  readonly rowsBefore: number;
  readonly failedRows: number;
  /** From the first row read to the last row written, without loading. */
  readonly seconds: number;
  readonly loadSeconds: number;
  readonly rowsPerSecond: number;
  /** Of this run. */
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly newTokensPerSecond: number;
  /** The share of the slots that held a sequence; `null` for a run that was stopped. */
  readonly slotsBusy: number | null;
  /** Empty for a run that was stopped. */
  readonly stages: readonly DecodeStageSummary[];
  readonly peakRssBytes: number;
  readonly stopped: boolean;
  readonly output: string | null;
  readonly errorsFile: string | null;
}

export function summariseGenerate(
  result: GeneratedRows,
  loadSeconds: number,
  files: Pick<GenerateSummary, 'output' | 'errorsFile'>,
): GenerateSummary {
  const { rows, rowsBefore, failedRows, seconds, promptTokens, newTokens, stopped, decoded } = result;
  const perSecond = (count: number) => (seconds > 0 ? count / seconds : 0);
  return {
    schema: 1,
    ...{ rows, rowsBefore, failedRows, seconds, loadSeconds },
    rowsPerSecond: perSecond(rows - rowsBefore),
    ...{ promptTokens, newTokens },
    newTokensPerSecond: perSecond(newTokens),
    slotsBusy: decoded?.slotsBusy ?? null,
    stages: decoded?.stages ?? [],
    peakRssBytes: residentMemory().peak,
    stopped,
    ...files,
  };
}
