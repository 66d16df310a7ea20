/** Loads the pipeline of a job whose rows differ in length: planned for typical rows, with room for the longest, and padding only where it changes nothing. */
import { TandemError } from '../../errors.js';
import type { Pipeline } from '../../pipeline/pipeline.js';
import { hasBudget } from '../../plan/budget.js';
import type { LengthPlan } from '../../plan/length-plan.js';
import type { Plan } from '../../plan/plan.js';
import type { Settled } from '../../planner/settle-rows.js';
import type { Preparing } from '../../rows/preparing.js';
import type { LengthSurvey } from '../../rows/ragged-source.js';
import type { Source } from '../../rows/source.js';
import type { TensorSpec } from '../../tensor.js';
import type { RunRequest } from '../run-request.js';
import { planForLengths, type TypicalRows, typicalRows } from './plan-lengths.js';
import { findIndependence } from './row-independence.js';
import type { WindowedRows } from './run-windows.js';

/** Rows that differ in length as a job opens them. */
export interface Windowed extends WindowedRows {
  /** Their lengths; `null` for a job that is resumed, whose plan has them. */
  readonly survey: LengthSurvey | null;
  readonly rows: number | null;
  /** An estimate for planning if `rows` is `null`. */
  readonly rowsAbout?: number | null;
  /** What a person should know of the rows once they have been run. */
  readonly notes?: () => readonly string[];
  close(): Promise<void>;
}

export function windowed(rows: WindowedRows, survey: LengthSurvey | null, count = rows.ragged.rows): Windowed {
  return { ...rows, survey, rows: count, close: () => rows.ragged.close() };
}

/** What prepares rows in threads of its own; `null` where nothing does. */
export function preparingOf(source: Source | WindowedRows): Preparing | null {
  return ('ragged' in source ? source.ragged.preparing : source.preparing) ?? null;
}

/** The rows that are planned for: those of the survey, or the longest of an earlier run's plan, which is not made anew. */
export function typicalOf(
  { ragged, survey, rows, rowsAbout = null }: Windowed,
  { microBatch, stages = [] }: Pick<RunRequest, 'microBatch' | 'stages'>,
  earlier: { readonly lengths?: LengthPlan | null | undefined } | undefined,
): TypicalRows {
  const { specs, padding } = ragged;
  const source = { specs, padding, rows: rows ?? rowsAbout };
  if (survey) return typicalRows({ survey, source, microBatch, hasBudget: hasBudget(stages) });
  if (!earlier?.lengths) throw new TandemError('TANDEM_INTERNAL', 'rows that differ in length were not surveyed');
  const { lengths } = earlier;
  return { rowSpecs: specsOf({ lengths }, ragged.specs), rows: null, length: lengths.longest, perRow: 1 };
}

export interface Loading {
  readonly request: Pick<RunRequest, 'microBatch' | 'stages'>;
  readonly typical: TypicalRows;
  /** Opens a warm pipeline for a plan with `lengths`; specs as of `Pipeline.warmUp`. */
  readonly open: (
    plan: Plan,
    longestSpecs: readonly TensorSpec[],
    openSpecs: readonly TensorSpec[],
  ) => Promise<Pipeline>;
}

/** A warm pipeline, from the plan for typical rows and the pipeline that may have been loaded for it; or by the plan of an earlier run. */
export async function loadWindows(
  { ragged, survey }: Windowed,
  { plan: planned, pipeline: loaded }: Settled,
  { request: { microBatch, stages = [] }, typical, open }: Loading,
): Promise<Pipeline> {
  const { specs, padding } = ragged;
  if (!survey) return open(planned, specsOf(planned, specs), specs);
  const request = { survey, source: ragged, microBatch, hasBudget: hasBudget(stages) };
  // Where micro-batches of one row were planned, nobody had to know whether rows depend on each other.
  const mayBeApart = planned.batchInvariant === true || planned.batchInvariant === undefined;
  const plan = planForLengths(planned, request, typical, { apart: mayBeApart, padded: true });
  const longest = specsOf(plan, specs);
  let pipeline = loaded;
  if (pipeline) await pipeline.adopt(plan, longest, specs);
  else pipeline = await open(plan, longest, specs);
  if (!mayBeApart) return pipeline;
  const found = await findIndependence(pipeline, { specs, padding, knownApart: planned.batchInvariant === true });
  if (found.apart && found.padded === plan.lengths!.padded) return pipeline;
  const other = planForLengths(planned, request, typical, found);
  await pipeline.adopt(other, specsOf(other, specs), specs);
  return pipeline;
}

function specsOf({ lengths }: Pick<Plan, 'lengths'>, specs: readonly TensorSpec[]): TensorSpec[] {
  return specs.map((spec, n) => ({ ...spec, shape: lengths!.largest[n]! }));
}

/** Formats that can hold rows of different shapes. */
const HOLD_RAGGED: ReadonlySet<string> = new Set(['jsonl', 'csv', 'tsv', 'parquet', 'arrow']);

/** Throws TANDEM_OUTPUT_UNSUPPORTED, naming the outputs, if the rows of any would differ in shape and the format cannot hold that. */
export function checkRaggedOutputs(
  { graph, across }: Pipeline,
  format: string,
  written: readonly string[] | null = null,
): void {
  if (HOLD_RAGGED.has(format)) return;
  const names = [...across!.outputLengths].flatMap(([name, { follows, varies }]) =>
    follows.length > 0 || varies ? [graph.outputNames?.get(name) ?? name] : [],
  );
  const kept = written ? names.filter((name) => written.includes(name)) : names;
  checkHoldsRagged(kept, 'as long as each row, and the rows differ in length', format);
}

/** Throws TANDEM_OUTPUT_UNSUPPORTED if there are `outputs` whose rows differ in shape, and the format cannot hold that. */
export function checkHoldsRagged(outputs: readonly string[], why: string, format: string): void {
  if (outputs.length === 0 || HOLD_RAGGED.has(format)) return;
  const are = outputs.length === 1 ? `output ${outputs[0]} is` : `outputs ${outputs.join(', ')} are`;
  throw new TandemError(
    'TANDEM_OUTPUT_UNSUPPORTED',
    `${are} ${why}: ${format.toUpperCase()} holds rows of one shape only`,
    { remedy: 'write JSON lines: --output FILE.jsonl' },
  );
}
