/** The signature of a block of an ONNX model, read from the file itself. */
import { createHash, type Hash } from 'node:crypto';
import { type Lifetime, lifetimes, livesAcross } from '../../liveness.js';
import type { Layer, ModelGraph } from '../graph.js';
import { type OnnxModel, readOnnx } from '../onnx.js';
import { constantClosure } from './constant-closure.js';
import { FileBytes } from './file-bytes.js';
import type { OnnxNode } from './node.js';
import { readsOf } from './order.js';
import { elementOf, NODE, TENSOR } from './schema.js';
import type { StoredTensor } from './stored-tensor.js';
import { fieldsOf } from './wire.js';

/**
 * For each of `layers`, a hash of its op types, attributes, wiring, and of its weights' dtypes and shapes (of small whole numbers, as
 * shapes and axes are, also the values). Names do not count, except inside bodies of control flow.
 */
export function onnxBlockSignatures(graph: ModelGraph, layers: readonly Pick<Layer, 'from' | 'to'>[]): string[] {
  const model = readOnnx(graph.path);
  using file = new FileBytes(graph.path);
  const lives = lifetimes(model.graph.ops, { kept: model.graph.outputs });
  return layers.map((layer) => signatureOf(file, model, layer, lives));
}

function signatureOf(
  file: FileBytes,
  model: OnnxModel,
  { from, to }: Pick<Layer, 'from' | 'to'>,
  lives: ReadonlyMap<string, Lifetime>,
): string {
  const { graph } = model;
  const hash = createHash('sha256');
  const wiring = new Wiring();
  const ops = model.nodes.slice(from, to);
  const { nodes, tensors } = constantClosure(model, ops.flatMap(readsOf));
  for (const tensor of tensors) addWeight(hash, file, tensor, wiring);
  for (const node of [...nodes, ...ops]) addNode(hash, file, node, wiring);
  for (const name of graph.ops.slice(from, to).flatMap((op) => op.outputs)) {
    if (livesAcross(lives.get(name)!, to)) hash.update(`out ${wiring.number(name)};`);
  }
  return hash.digest('hex');
}

/** Element types whose small tensors are settings of an op. */
const WHOLE = new Set(['int64', 'int32', 'bool']);

/** Numbers values in the order of their first use. */
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
