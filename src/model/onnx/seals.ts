/** Where an ONNX graph may not be cut: wherever a value lives that a slot cannot carry, or that ORT computes as one with its neighbours. */
import { TandemError } from '../../errors.js';
import { type Holds, holdOutputs, holdsOf } from './element-types.js';
import type { ModelProto } from './model-proto.js';
import type { OnnxNode } from './node.js';
import { type Ordered, readsOf } from './order.js';
import { canCross, elementOf } from './schema.js';

/** Whether a value that holds `type` can be carried; an unknown one is taken for a plain tensor, which it nearly always is. */
function crosses(type: Holds): boolean {
  return type === '' || canCross(type);
}

/** Positions k between op k-1 and op k that no cut may take. Throws TANDEM_MODEL_UNSUPPORTED when the model returns such a value. */
export function sealedCuts(
  proto: ModelProto,
  ops: readonly OnnxNode[],
  known: ReadonlyMap<string, Holds>,
): Set<number> {
  for (const { name } of proto.outputs) {
    const type = known.get(name) ?? '';
    if (!crosses(type)) throw cannotCarry(name, type, 'returns');
  }
  const lastUse = new Map<string, number>();
  for (const [k, op] of ops.entries()) for (const name of readsOf(op)) lastUse.set(name, k);
  // Lives that begin less lives that end, at each position.
  const steps = new Array<number>(ops.length + 2).fill(0);
  const whole = quantisedGroups(ops);
  for (const [born, op] of ops.entries()) {
    for (const name of op.outputs) {
      if (crosses(known.get(name) ?? '') && !whole.has(name)) continue;
      steps[born + 1]!++;
      steps[(lastUse.get(name) ?? born) + 1]!--;
    }
  }
  const sealed = new Set<number>();
  let lives = 0;
  for (const [k, step] of steps.entries()) {
    lives += step;
    if (lives > 0) sealed.add(k);
  }
  return sealed;
}

/** The refusal of a value at the model's edge. */
export function cannotCarry(name: string, type: Holds, verb: 'takes' | 'returns'): TandemError {
  return new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `the model ${verb} "${name}", which holds ${type} and cannot be pipelined`,
    {
      remedy: /^(bfloat|float|u?int|complex)\d/.test(type)
        ? 'onnxruntime-node hands out no such numbers; put a Cast to float32 there, and export the model with it'
        : 'cut the text or sequence part off the model and run it before or after',
    },
  );
}

/** What every value of the graph holds, by name. */
export function heldValues(proto: ModelProto, { ops, derived }: Ordered): Map<string, Holds> {
  const known = new Map<string, Holds>();
  const declared = new Map([...proto.values].map(([name, { type }]) => [name, type]));
  for (const { name, type } of proto.outputs) declared.set(name, type);
  for (const { name, type } of proto.inputs) if (type) known.set(name, holdsOf(type));
  for (const { name, element } of proto.tensors.values()) known.set(name, elementOf(element)?.name ?? '');
  for (const node of [...new Set(derived.values()), ...ops]) holdOutputs(node, known, (name) => declared.get(name));
  return known;
}

/** What ORT takes into the op before it. */
const ACTIVATIONS = new Set(['Relu', 'Clip', 'LeakyRelu', 'Sigmoid', 'HardSigmoid', 'HardSwish']);

/**
 * Values inside DequantizeLinear -> op (-> activation) -> QuantizeLinear. ORT computes such a group with integers; parted, it would compute in
 * floating point and could round to the neighbouring integer. The cheap cut is beside the group, where bytes are quantised.
 */
function quantisedGroups(ops: readonly OnnxNode[]): Set<string> {
  const inside = new Set<string>();
  const quantised = new Set<string>();
  for (const op of [...ops].reverse()) {
    const within = ACTIVATIONS.has(op.type) && quantised.has(op.outputs[0]!);
    if (op.type === 'QuantizeLinear' || within) quantised.add(op.inputs[0]!);
  }
  for (const op of ops) {
    if (op.type === 'DequantizeLinear') inside.add(op.outputs[0]!);
    else if (op.inputs.some((name) => inside.has(name))) {
      for (const name of op.outputs) if (quantised.has(name)) inside.add(name);
    }
  }
  return inside;
}
