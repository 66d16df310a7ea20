/** The begin record of a run's journal: what identifies the job, and the request, with absolute paths, so that any folder can resume it. */
import { isAbsolute, resolve } from 'node:path';
import { isAddress } from '../engine/own-engine.js';
import { type Fingerprint, fingerprintLoaded, PLANNED_HERE } from '../output/fingerprint.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { isFileARow } from '../rows/format.js';
import { formatOf } from '../rows/format-of-path.js';
import { filesOf, fromAnywhere, textsOf } from '../rows/input-files.js';
import type { SourceInput } from '../rows/open-source.js';
import type { Source } from '../rows/source.js';
import type { RunRequest } from './run-request.js';
import type { Windowed } from './windows/load-windows.js';

export function beginRecord(
  fingerprint: Fingerprint,
  pipeline: Pipeline,
  source: Source | Windowed,
  request: RunRequest,
  input: SourceInput,
) {
  // Flags for printing and for replacing files are of this run only.
  const { output, engine, quiet, json, forceNew, ...kept } = request as RunRequest & {
    quiet?: boolean;
    json?: boolean;
  };
  const plan = PLANNED_HERE.has(kept.plan ?? 'auto') ? undefined : kept.plan;
  const files = Object.entries({ plan, report: kept.report, trace: kept.trace, record: kept.record });
  const [first] = pipeline.graph.engines!;
  const paths = files.flatMap(([kind, path]) => (path === undefined ? [] : [[kind, resolve(path)]]));
  return {
    fingerprint: fingerprintLoaded(fingerprint, pipeline.plan, pipeline.loaded),
    plan: pipeline.plan,
    total: source.rows,
    request: {
      ...kept,
      ...Object.fromEntries(paths),
      // The module of an engine of the user's own stays out: no command imports code because a journal names it.
      ...(engine !== undefined && !isAddress(first!) ? { engine: first } : {}),
      ...(kept.set ? { set: fromAnywhere(kept.set) } : {}),
      model: resolve(request.model),
      ...idsOfFiles(request, input),
    },
  };
}

/** Rows that are files are found again as they were the first time: a folder may be large, and their paths are their ids. */
function idsOfFiles({ input: texts, inputFormat, idsFrom }: RunRequest, input: SourceInput) {
  const [first] = filesOf(input);
  if (input instanceof Map || !isFileARow(formatOf(first!, inputFormat))) return { input: textsOf(input) };
  const given = texts.some((text) => isAbsolute(text)) ? {} : { idsFrom: idsFrom ?? process.cwd() };
  return { input: texts.map((text) => resolve(text)), ...given };
}
