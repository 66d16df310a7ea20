/** Constants of quantised weights that ORT does not fuse in the whole model, because they have several readers, but would fuse in a slice with one. */
import { constantClosure } from '../../model/onnx/constant-closure.js';
import { FileBytes } from '../../model/onnx/file-bytes.js';
import type { OnnxNode } from '../../model/onnx/node.js';
import { TENSOR } from '../../model/onnx/schema.js';
import { fieldsOf } from '../../model/onnx/wire.js';
import type { OnnxModel } from '../../model/onnx.js';
import { CLIPS, MOVED_PAST } from './quantised-groups.js';

/** Ops that may be between dequantised weights and the MatMul that they are fused with. */
const CARRIES: ReadonlySet<string> = new Set(['Transpose', 'Cast', 'Reshape', 'Identity', 'Squeeze', 'Unsqueeze']);
const FUSES: ReadonlySet<string> = new Set(['MatMul', 'Gemm']);
const QUANTISES: ReadonlySet<string> = new Set(['QuantizeLinear', 'DequantizeLinear']);
/** ORT merges equal initialisers that have no more elements than this (its ConstantSharing). */
const MOST_ELEMENTS = 8;

const known = new WeakMap<OnnxModel, ReadonlySet<string>>();

/** By name; computed once for each model. */
export function hiddenConstants(model: OnnxModel): ReadonlySet<string> {
  const found = known.get(model) ?? findHidden(model);
  known.set(model, found);
  return found;
}

/**
 * ORT fuses DequantizeLinear -> MatMul into one op, MatMulNBits, which rounds the rows to 8 bits block by block: answers change by a hundredth
 * and more. It does so only if the weights, their scale and their results have no other reader, and if no Relu or Clip follows
 * that could be part of a quantised group. A slice has fewer readers than the model. So a constant of weights that the
 * whole model does not fuse must not be a constant in a slice. Of weights and scale the scale is hidden: ORT 1.30 moves the
 * DequantizeLinear of non-constant weights past a Reshape, and reads int8 as uint8 if there is no zero point.
 * By ORT 1.30's DQMatMulNodeGroupSelector; a shared zero point does not prevent the fusion.
 */
function findHidden(model: OnnxModel): ReadonlySet<string> {
  const { nodes: ops, derived, graph } = model;
  const returned = graph.outputs;
  const found = new Set<string>();
  const inIntegers = dequantisedRows(ops);
  const candidates = ops.filter(
    ({ type, domain, inputs }) =>
      domain === '' && FUSES.has(type) && derived.has(inputs[1] ?? '') && !inIntegers.has(inputs[0]!),
  );
  if (candidates.length === 0) return found;
  const readers = readersByName([...ops, ...new Set(derived.values())]);
  const equals = equalTensors(model);
  const isShared = (name: string) =>
    returned.includes(name) || (equals.get(name) ?? [name]).flatMap((equal) => readers.get(equal) ?? []).length > 1;
  const isClipped = ({ outputs }: OnnxNode) => {
    const [next, ...others] = readers.get(outputs[0]!) ?? [];
    if (!next || others.length > 0 || !CLIPS.has(next.type)) return false;
    return readers.get(next.outputs[0]!)?.length === 1 && !returned.includes(next.outputs[0]!);
  };
  for (const candidate of candidates) {
    let name = candidate.inputs[1]!;
    let node = derived.get(name);
    let apart = isShared(name) || isClipped(candidate);
    while (node && node.domain === '' && CARRIES.has(node.type)) {
      name = node.inputs[0]!;
      apart ||= isShared(name);
      node = derived.get(name);
    }
    if (node?.type !== 'DequantizeLinear') continue;
    const [weight = '', scale = ''] = node.inputs;
    if (!apart && !isShared(weight) && !isShared(scale)) continue;
    for (const stored of constantClosure(model, [scale]).tensors) found.add(stored.name);
  }
  // A scale that rows are quantised with too stays a constant: their groups need it.
  for (const { type, inputs } of ops) if (QUANTISES.has(type)) for (const name of inputs) found.delete(name);
  return found;
}

/** Rows that were bytes: ORT computes them with integers, and does not move their weights. */
function dequantisedRows(ops: readonly OnnxNode[]): Set<string> {
  const rows = new Set<string>();
  for (const { type, inputs, outputs } of ops) {
    if (type === 'DequantizeLinear' || (MOVED_PAST.has(type) && rows.has(inputs[0]!))) rows.add(outputs[0]!);
  }
  return rows;
}

/** The readers of each value, once for each read. */
function readersByName(nodes: readonly OnnxNode[]): Map<string, OnnxNode[]> {
  const readers = new Map<string, OnnxNode[]>();
  for (const node of nodes) {
    for (const name of [...node.inputs, ...node.captured]) {
      const known = readers.get(name);
      if (known) known.push(node);
      else readers.set(name, [node]);
    }
  }
  return readers;
}

/** The small tensors that ORT merges, by each of their names. */
function equalTensors({ graph, tensors }: OnnxModel): Map<string, readonly string[]> {
  using file = new FileBytes(graph.path);
  const groups = new Map<string, string[]>();
  for (const { name, element, dims, storage } of tensors.values()) {
    if (storage.kind !== 'message' || dims.reduce((a, b) => a * b, 1) > MOST_ELEMENTS) continue;
    // A field of floats and raw data have the same bytes.
    const values = [...fieldsOf(file, storage.message)].filter(({ number }) => VALUES.has(number));
    const bytes = values.map((field) => Buffer.from(file.copy(field)).toString('hex')).join('');
    const key = `${element} [${dims.join()}] ${bytes}`;
    const group = groups.get(key);
    if (group) group.push(name);
    else groups.set(key, [name]);
  }
  return new Map(
    [...groups.values()].filter((group) => group.length > 1).flatMap((group) => group.map((name) => [name, group])),
  );
}

const VALUES: ReadonlySet<number> = new Set([TENSOR.rawData, TENSOR.floatData, TENSOR.int32Data]);
