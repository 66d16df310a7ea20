/** Values inside groups of ops that ORT fuses into one op on integers: a cut inside would round to other integers. */
import type { OnnxNode } from '../../model/onnx/node.js';

/** Ops that ORT fuses into the op before them. */
const ACTIVATIONS: ReadonlySet<string> = new Set(['Relu', 'Clip', 'LeakyRelu', 'Sigmoid', 'HardSigmoid', 'HardSwish']);
/** Ops that ORT may fuse with a following QuantizeLinear. */
export const CLIPS: ReadonlySet<string> = new Set(['Relu', 'Clip']);
/** Ops past which ORT moves a QuantizeLinear or DequantizeLinear (its QDQPropagation). */
export const MOVED_PAST: ReadonlySet<string> = new Set([
  'MaxPool',
  'Reshape',
  'Transpose',
  'Squeeze',
  'Unsqueeze',
  'Slice',
]);

/**
 * A group is DequantizeLinear -> op -> QuantizeLinear, with an activation, a bias, or ops that only move numbers before the QuantizeLinear, and
 * such ops behind the DequantizeLinear. The cheap cut is outside the group, where values are bytes. `derived` are nodes of weights alone,
 * in an order in which they can run.
 */
export function quantisedGroups(ops: readonly OnnxNode[], derived: Iterable<OnnxNode>): Set<string> {
  const inside = new Set<string>();
  const quantised = quantisedLater(ops);
  for (const op of [...derived, ...ops]) {
    const reads = op.inputs.some((name) => inside.has(name));
    if (op.type === 'DequantizeLinear') inside.add(op.outputs[0]!);
    else if (MOVED_PAST.has(op.type) && inside.has(op.inputs[0]!)) inside.add(op.outputs[0]!);
    else if (reads) for (const name of op.outputs) if (quantised.has(name)) inside.add(name);
  }
  for (const name of [...requantised(ops), ...undecided(ops, inside)]) inside.add(name);
  return inside;
}

/** Values with only ops of their group between them and a QuantizeLinear. */
function quantisedLater(ops: readonly OnnxNode[]): Set<string> {
  const quantised = new Set<string>();
  for (const { type, inputs, outputs } of [...ops].reverse()) {
    const within = quantised.has(outputs[0]!);
    if (type === 'QuantizeLinear') quantised.add(inputs[0]!);
    else if (within && (ACTIVATIONS.has(type) || MOVED_PAST.has(type))) quantised.add(inputs[0]!);
    // One of the two may be a bias, which becomes part of the MatMul.
    else if (within && type === 'Add') for (const name of inputs) quantised.add(name);
  }
  return quantised;
}

/** All of QuantizeLinear -> DequantizeLinear -> QuantizeLinear: ORT merges the two pairs into one, with a new scale. */
function requantised(ops: readonly OnnxNode[]): string[] {
  const dequantised = new Map(
    ops.flatMap(({ type, inputs, outputs }) => (type === 'DequantizeLinear' ? [[outputs[0]!, inputs[0]!]] : [])),
  );
  return ops.flatMap(({ type, inputs, outputs }) => {
    const before = type === 'QuantizeLinear' ? dequantised.get(inputs[0]!) : undefined;
    return before === undefined ? [] : [before, outputs[0]!];
  });
}

/**
 * Ops after a MatMul of dequantised weights that decide whether ORT fuses it: an Add, with which it may be a Gemm, which is fused
 * under other conditions; a Relu or Clip after that Add, next to another reader, or after a MatMul of rows that were bytes too.
 */
function undecided(ops: readonly OnnxNode[], dequantised: ReadonlySet<string>): string[] {
  const readers = new Map<string, OnnxNode[]>();
  for (const op of ops) for (const name of op.inputs) readers.set(name, [...(readers.get(name) ?? []), op]);
  const clipsOf = (name: string) =>
    (readers.get(name) ?? []).filter(({ type }) => CLIPS.has(type)).map(({ outputs }) => outputs[0]!);
  return ops.flatMap(({ type, inputs: [rows = '', weights = ''], outputs: [made = ''] }) => {
    if ((type !== 'MatMul' && type !== 'Gemm') || !dequantised.has(weights)) return [];
    const after = readers.get(made) ?? [];
    const sums = after.filter((op) => op.type === 'Add').map(({ outputs }) => outputs[0]!);
    const clipped = sums.filter((name) => clipsOf(name).length > 0);
    const clips = clipsOf(made);
    const stay = dequantised.has(rows) ? clips : [];
    const first = sums.length + stay.length > 0 || (clips.length > 0 && after.length > 1) ? [made] : [];
    return [...first, ...stay, ...clipped, ...clipped.flatMap(clipsOf)];
  });
}
