/** ONNX Runtime's forbidden cuts: inside ops that it fuses, and where a live tensor has a type that it cannot return. */
import { cutsAcross } from '../../model/forbidden-cuts.js';
import type { ModelGraph } from '../../model/graph.js';
import { cannotCarry } from '../../model/onnx/cannot-carry.js';
import { type OnnxModel, onnxModelOf } from '../../model/onnx.js';
import { type DType, isDType } from '../../tensor.js';
import { quantisedGroups } from './quantised-groups.js';

/** Whether onnxruntime-node takes and returns tensors of this element type: every type of a slot except bfloat16. */
export function isHandedOut(type: string): type is DType {
  return isDType(type) && type !== 'bfloat16';
}

/** As `EngineEntry.forbiddenCuts`. */
export function forbiddenCuts(graph: ModelGraph, model: OnnxModel = onnxModelOf(graph)): Set<number> {
  const { elementTypes } = model;
  const isKept = (name: string) => isDType(elementTypes.get(name) ?? '') && !isHandedOut(elementTypes.get(name)!);
  const [input] = graph.inputs.map(({ name }) => name).filter(isKept);
  if (input !== undefined) throw cannotCarry(input, elementTypes.get(input)!, 'takes', REMEDY);
  const [output] = graph.outputs.filter(isKept);
  if (output !== undefined) throw cannotCarry(output, elementTypes.get(output)!, 'returns', REMEDY);
  const whole = quantisedGroups(model.nodes, new Set(model.derived.values()));
  return cutsAcross(graph.ops, (name) => whole.has(name) || isKept(name));
}

const REMEDY = 'onnxruntime-node returns no such numbers; put a Cast to float32 there, and export the model with it';
