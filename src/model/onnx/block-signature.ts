/** The signature of a block of an ONNX model, read from the file itself. */
import { createHash, type Hash } from 'node:crypto';
import type { Layer, ModelGraph } from '../graph.js';
import { type OnnxModel, readOnnx } from '../onnx.js';
import { FileBytes } from './file-bytes.js';
import type { OnnxNode } from './node.js';
import { readsOf } from './order.js';
import { elementOf, NODE, TENSOR } from './schema.js';
import type { StoredTensor } from './stored-tensor.js';
import { travelling } from './travelling.js';
import { fieldsOf } from './wire.js';

/**
 * For each of `layers`, a hash of its op types, attributes, wiring, and of its weights' dtypes and shapes (of small whole numbers, as
 * shapes and axes are, also the values). Names do not count, but for those inside bodies of control flow.
 */
export function onnxBlockSignatures(graph: ModelGraph, layers: readonly Pick<Layer, 'from' | 'to'>[]): string[] {
  const model = readOnnx(graph.path);
  using file = new FileBytes(graph.path);
  return layers.map((layer) => signatureOf(file, model, layer));
}

function signatureOf(file: FileBytes, model: OnnxModel, { from, to }: Pick<Layer, 'from' | 'to'>): string {
  const { graph } = model;
  const hash = createHash('sha256');
  const wiring = new Wiring();
  const ops = model.nodes.slice(from, to);
  const { nodes, tensors } = travelling(model, ops.flatMap(readsOf));
  for (const tensor of tensors) addWeight(hash, file, tensor, wiring);
  for (const node of [...nodes, ...ops]) addNode(hash, file, node, wiring);
  const after = new Set([...graph.outputs, ...graph.ops.slice(to).flatMap((op) => op.inputs)]);
  for (const name of graph.ops.slice(from, to).flatMap((op) => op.outputs)) {
    if (after.has(name)) hash.update(`out ${wiring.number(name)};`);
  }
  return hash.digest('hex');
}

/** Element types whose small tensors steer an op. */
const WHOLE = new Set(['int64', 'int32', 'bool']);

/** Numbers values in the order in which they first come up. */
class Wiring {
  readonly #numbers = new Map<string, number>();

  number(name: string): number {
    const known = this.#numbers.get(name) ?? this.#numbers.size;
    this.#numbers.set(name, known);
    return known;
  }
}

function addNode(hash: Hash, file: FileBytes, node: OnnxNode, wiring: Wiring): void {
  const numbers = (names: readonly string[]) => names.map((name) => (name === '' ? '' : wiring.number(name))).join();
  hash.update(`${node.domain}:${node.type}(${numbers(node.inputs)})${numbers(node.outputs)};`);
  for (const field of fieldsOf(file, node.message)) {
    if (field.number === NODE.attribute) hash.update(file.copy(field));
  }
}

function addWeight(hash: Hash, file: FileBytes, { name, element, dims, storage }: StoredTensor, wiring: Wiring): void {
  hash.update(`weight ${wiring.number(name)} ${element} [${dims.join()}];`);
  if (storage.kind !== 'message' || !WHOLE.has(elementOf(element)?.name ?? '')) return;
  for (const field of fieldsOf(file, storage.message)) {
    if (field.number !== TENSOR.name) hash.update(file.copy(field));
  }
}
