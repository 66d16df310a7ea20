/** `tandem inspect`: the model's layers by number, and what would live across a cut before each. */
import { Command } from 'commander';
import { engineFor, providerFor } from '../engine/registry.js';
import { asTandemError } from '../errors.js';
import { isLegalCut, liveBytes, liveTensors } from '../model/cut.js';
import { estimateFlops } from '../model/flops.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../model/graph.js';
import { openModel } from '../model/open.js';
import { describe, rowSpecsOf } from '../plan/make-plan.js';
import { resolveIsolation } from '../pool/isolation.js';
import type { TensorSpec } from '../tensor.js';
import { groupsOf, type LayerGroup } from './layer-groups.js';
import { formatInspection } from './print-inspection.js';

/** What `--json` prints; sizes are bytes, and those of live tensors are for one row. */
export interface Inspection {
  readonly schema: 1;
  readonly format: string;
  readonly path: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly {
    name: string;
    tensor: string;
    dtype: string | null;
    shape: readonly (number | null)[] | null;
  }[];
  readonly weightBytes: number;
  readonly flopsPerRow: number | null;
  /** Why no shapes are told, where none are. */
  readonly note: string | null;
  readonly layers: readonly LayerInspection[];
  /** Layers that are one unit several times over, in order. */
  readonly groups: readonly LayerGroup[];
}

export interface LayerInspection {
  readonly layer: number;
  readonly name: string;
  readonly type: string;
  readonly ops: number;
  /** Of its last tensor; `null` where it could not be computed. */
  readonly output: { readonly dtype: string; readonly shape: readonly (number | null)[] } | null;
  readonly weightBytes: number;
  readonly flopsPerRow: number | null;
  /** Whether a stage may begin with this layer; the first one always does. */
  readonly cut: boolean;
  /** What lives across the cut before this layer. */
  readonly liveBytesPerRow: number | null;
  readonly liveTensors: readonly string[];
}

const AFTER_HELP = `
Layers are numbered as run --stage DEVICE,layers=A..B takes them. "live before it" is what a cut before the layer
carries to the next stage for each row; where it says sealed, the model cannot be cut. Layers that repeat are one line,
with their numbers from..to; what lives before them is told for cuts between two of the repeated units.`;

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('list the layers of a model by number, with shapes, weights and the bytes that live across each cut')
    .argument('<model>', 'model.json, model.onnx, or a folder that holds one')
    .option('--all', 'a line for each layer, also where they repeat')
    .option('--json', 'print one JSON object')
    .addHelpText('after', AFTER_HELP)
    .action(async (path: string, { json, all }: { json?: boolean; all?: boolean }) => {
      const graph = await openModel(path);
      const { facts, note } = await factsFor(graph);
      const inspection = inspect(graph, facts, note);
      process.stdout.write(json ? `${JSON.stringify(inspection)}\n` : formatInspection(inspection, { all }));
    });
}

/** Shapes need the engine; a machine without it still gets the rest, and the reason. */
async function factsFor(graph: ModelGraph): Promise<{ facts: TensorFacts; note: string | null }> {
  const rowSpecs = rowSpecsOf(graph);
  if (!rowSpecs)
    return { facts: new Map(), note: 'the rows tell the shapes of this model, so they are not known before a run' };
  const engine = engineFor(graph.format);
  try {
    const stage = { device: 'cpu', engine, provider: providerFor(engine, 'cpu'), threads: 1 };
    return {
      facts: (await describe(graph, stage, resolveIsolation('auto', [stage]), { rowSpecs, deadline: 600_000 }))!,
      note: null,
    };
  } catch (error) {
    const { message, remedy } = asTandemError(error);
    return { facts: new Map(), note: `shapes are not known: ${message}${remedy ? `; ${remedy}` : ''}` };
  }
}

export function inspect(graph: ModelGraph, facts: TensorFacts, note: string | null = null): Inspection {
  const flops = facts.size > 0 ? estimateFlops(graph, facts) : null;
  const live = liveBytes(graph, facts, 1);
  const sum = (from: number, to: number) => flops?.slice(from, to).reduce((total, count) => total + count, 0) ?? null;
  const layers = graph.layers.map(({ index, name, type, from, to }) => ({
    layer: index,
    name,
    type,
    ops: to - from,
    output: facts.get(graph.ops[to - 1]?.outputs[0] ?? '') ?? null,
    weightBytes: weightBytes(graph, from, to),
    flopsPerRow: sum(from, to),
    cut: from === 0 || isLegalCut(graph, from),
    liveBytesPerRow: live[from] ?? null,
    liveTensors: liveTensors(graph, from),
  }));
  return {
    schema: 1,
    format: graph.format,
    path: graph.path,
    inputs: graph.inputs,
    outputs: graph.outputs.map((tensor) => {
      const fact = facts.get(tensor);
      return {
        name: graph.outputNames?.get(tensor) ?? tensor,
        tensor,
        dtype: fact?.dtype ?? null,
        shape: fact?.shape ?? null,
      };
    }),
    weightBytes: weightBytes(graph, 0, graph.ops.length),
    flopsPerRow: sum(0, graph.ops.length),
    note,
    layers,
    groups: groupsOf(graph, layers),
  };
}
