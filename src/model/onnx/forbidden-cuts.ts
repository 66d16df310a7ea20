/** Forbidden cuts of an ONNX graph: across a live value that is not a tensor of a type that a slot can carry. */
import { isDType } from '../../tensor.js';
import { cutsAcross } from '../forbidden-cuts.js';
import type { Op } from '../graph.js';
import { cannotReturn } from './cannot-carry.js';
import type { ElementType } from './element-types.js';
import type { ModelProto } from './model-proto.js';
import type { OnnxNode } from './node.js';

interface Values {
  readonly proto: Pick<ModelProto, 'outputs' | 'external'>;
  readonly ops: readonly Op[];
  /** The node of each op. */
  readonly nodes: readonly OnnxNode[];
  readonly types: ReadonlyMap<string, ElementType>;
}

/** Positions k between op k-1 and op k. Throws TANDEM_MODEL_UNSUPPORTED if the model returns such a value. */
export function uncarriedCuts({ proto, ops, nodes, types }: Values): Set<number> {
  // A value of an unknown type is assumed to be a plain tensor, which it nearly always is.
  const crosses = (name: string) => isDType(types.get(name) || 'float32');
  const outputs = proto.outputs.map(({ name }) => name);
  const lost = outputs.find((name) => !crosses(name));
  if (lost !== undefined) {
    throw cannotReturn(lost, types.get(lost)!, { path: proto.external.model, outputs, ops: nodes, crosses });
  }
  return cutsAcross(ops, (name) => !crosses(name));
}
