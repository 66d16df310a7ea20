/** Rows of a program that differ in length, as `RowPipeline.run` meets them: the first ones are looked at, and windows of rows are run where these differ. */
import type { ModelGraph } from '../model/graph.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { StageOptions } from '../plan/stage-options.js';
import { openRaggedObjects, sameLengthObjects } from '../rows/json/open-objects.js';
import type { ObjectsSurvey, RaggedObjects } from '../rows/json/ragged-objects.js';
import { madeInputs, paddingOf } from '../rows/made-inputs.js';
import type { Source } from '../rows/source.js';
import type { TensorSpec } from '../tensor.js';
import { loadWindows, typicalOf, windowed } from './windows/load-windows.js';

/** Rows that are looked at, and rows of a window: results wait for as many. */
const MOST_ROWS = 256;

export interface OwnLengths {
  readonly ragged: RaggedObjects<unknown>;
  readonly survey: ObjectsSurvey;
  /** The shape of the rows that are planned for. */
  readonly typical: readonly TensorSpec[];
}

export interface Asked {
  readonly microBatch?: number | undefined;
  readonly stages?: readonly StageOptions[] | undefined;
}

/**
 * A source where the first rows have one shape, which all must have then; else their lengths. `specs` have the rows' axis first, and open dimensions of
 * a known number. Errors as of `openObjects`.
 */
export async function openOwnLengths(
  rows: Iterable<unknown> | AsyncIterable<unknown>,
  graph: ModelGraph,
  specs: readonly TensorSpec[],
  { rules, asked }: { readonly rules: Parameters<typeof sameLengthObjects>[2]; readonly asked: Asked },
): Promise<Source | OwnLengths> {
  const rowSpecs = specs.map((spec) => ({ ...spec, shape: spec.shape.slice(1) }));
  const made = madeInputs(rowSpecs);
  const ragged = openRaggedObjects(rows, specs, { ...rules, made, padding: paddingOf(graph, rowSpecs) });
  const survey = await ragged.sample(MOST_ROWS);
  if (survey.lengths.size <= 1 && !survey.makes) return sameLengthObjects(ragged, specs, rules);
  const { rowSpecs: typical } = typicalOf(windowed({ ragged }, survey), asked, undefined);
  return { ragged, survey, typical };
}

/** Lets a loaded pipeline, whose plan is for rows of one shape, run these. */
export async function adoptLengths(pipeline: Pipeline, { ragged, survey }: OwnLengths, asked: Asked): Promise<void> {
  const windows = windowed({ ragged }, survey);
  const open = () => Promise.reject(new Error('it is loaded'));
  const loading = { request: asked, typical: typicalOf(windows, asked, undefined), open };
  await loadWindows(windows, { plan: pipeline.plan, pipeline }, loading);
  const { lengths } = pipeline.plan;
  pipeline.plan = { ...pipeline.plan, lengths: { ...lengths!, window: Math.min(lengths!.window, MOST_ROWS) } };
}
