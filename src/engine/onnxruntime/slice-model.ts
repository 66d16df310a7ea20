/** A slice as an ONNX model for ONNX Runtime: the same ops are fused in it as in the whole model. */
import { ATTRIBUTE, INTS, NODE } from '../../model/onnx/schema.js';
import { type SliceRequest, sliceProto } from '../../model/onnx/slice-proto.js';
import { WireWriter } from '../../model/onnx/wire-writer.js';
import type { OnnxModel } from '../../model/onnx.js';
import { hiddenConstants } from './hidden-constants.js';

interface Request extends Omit<SliceRequest, 'inputNames' | 'overridable'> {
  /** Inputs that first pass through a pool of one pixel, which returns its input (and 0 for -0). In the slice they are named `x (given)`. */
  readonly pooled?: ReadonlySet<string>;
}

/** As `sliceProto`, with the same errors. */
export function sliceModel(model: OnnxModel, { pooled = new Set(), ownNodes = [], ...request }: Request): Uint8Array {
  return sliceProto(model, {
    ...request,
    ownNodes: [...ownNodes, ...[...pooled].map(poolOf)],
    inputNames: new Map([...pooled].map((name) => [name, givenName(name)])),
    overridable: hiddenConstants(model),
  });
}

function givenName(name: string): string {
  return `${name} (given)`;
}

/** An average over one pixel, as a NodeProto. */
function poolOf(name: string): Uint8Array {
  const node = new WireWriter();
  node.text(NODE.input, givenName(name)).text(NODE.output, name).text(NODE.opType, 'AveragePool');
  node.message(NODE.attribute, (attribute) => {
    attribute.text(ATTRIBUTE.name, 'kernel_shape').integer(ATTRIBUTE.ints, 1).integer(ATTRIBUTE.ints, 1);
    attribute.integer(ATTRIBUTE.type, INTS);
  });
  return node.bytes();
}
