/** Errors for models whose inputs or outputs are not plain numbers: their type, and what to type to get numbers. */
import { TandemError } from '../../errors.js';
import { shellWord } from '../../shell-word.js';
import type { ElementType } from './element-types.js';
import type { OnnxNode } from './node.js';

export function cannotCarry(
  name: string,
  type: ElementType,
  verb: 'takes' | 'returns',
  remedy = remedyFor(type),
): TandemError {
  const message = `the model ${verb} "${name}", which holds ${type} and cannot be pipelined`;
  return new TandemError('TANDEM_MODEL_UNSUPPORTED', message, { remedy });
}

function remedyFor(type: ElementType): string {
  return /^(bfloat|float|u?int|complex)\d/.test(type)
    ? 'no stage returns such numbers; put a Cast to float32 there, and export the model with it'
    : 'cut the text or sequence part off the model and run it before or after';
}

/** The outputs of the model, and the types of its values. */
interface Returned {
  readonly path: string;
  readonly outputs: readonly string[];
  readonly ops: readonly Pick<OnnxNode, 'type' | 'inputs' | 'outputs'>[];
  readonly crosses: (name: string) => boolean;
}

/** For an output `name` that cannot be carried. A classifier of scikit-learn ends with maps of its probabilities (ZipMap), which are tensors before. */
export function cannotReturn(name: string, type: ElementType, { path, outputs, ops, crosses }: Returned): TandemError {
  const zipMaps = new Map(ops.filter((op) => op.type === 'ZipMap').map((op) => [op.outputs[0]!, op.inputs[0]!]));
  const kept = outputs.map((output) => zipMaps.get(output) ?? output).filter(crosses);
  if (zipMaps.size === 0 || kept.length === 0) return cannotCarry(name, type, 'returns');
  const what = zipMaps.has(name) ? 'a map for each row (ZipMap)' : type;
  const keep = `select_model_inputs_outputs(onnx.load(${JSON.stringify(path)}), ${JSON.stringify(kept)})`;
  const code = `import onnx; from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs; onnx.save(${keep}, "tensors.onnx")`;
  const labels = outputs.some((output) => !zipMaps.has(output) && !crosses(output));
  const again = labels
    ? 'labels that are texts are left out: probabilities are in the order of classes_'
    : 'or convert it again with options={"zipmap": False}';
  return cannotCarry(name, what, 'returns', `keep its tensors: python -c ${shellWord(code)}; ${again}`);
}
