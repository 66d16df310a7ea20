/** Whether an ONNX graph's ops prove that no row of a micro-batch can change another's answer. */
import type { TensorSpec } from '../../tensor.js';
import type { OnnxNode } from './node.js';

/** Elementwise ops of one value; further inputs are settings. */
const BY_NUMBER = [
  ...[
    'Abs',
    'Cast',
    'Ceil',
    'Clip',
    'Cos',
    'Elu',
    'Erf',
    'Exp',
    'Floor',
    'Gelu',
    'HardSigmoid',
    'HardSwish',
    'Identity',
  ],
  ...[
    'LeakyRelu',
    'Log',
    'Mish',
    'Neg',
    'Not',
    'PRelu',
    'Reciprocal',
    'Relu',
    'Round',
    'Selu',
    'Sigmoid',
    'Sign',
    'Sin',
  ],
  ...['Softplus', 'Softsign', 'Sqrt', 'Tanh', 'QuantizeLinear', 'DequantizeLinear'],
];
/** Ops that compute each row alone if their other inputs are weights. */
const BY_ROW = [
  ...['AveragePool', 'Conv', 'ConvTranspose', 'GlobalAveragePool', 'GlobalMaxPool', 'InstanceNormalization', 'LRN'],
  ...['LayerNormalization', 'MatMul', 'MaxPool', 'com.microsoft.MatMulNBits'],
];
const ALONE: ReadonlySet<string> = new Set([...BY_NUMBER, ...BY_ROW]);
/** Elementwise ops of several values. */
const TOGETHER: ReadonlySet<string> = new Set(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min', 'Sum', 'Mean']);

/**
 * False if unknown: for an op that is not listed here, or inputs of several ranks, which may be broadcast. All listed ops
 * keep the rows on axis 0.
 */
export function isBatchInvariant(
  nodes: readonly OnnxNode[],
  inputs: readonly TensorSpec[],
  isWeight: (name: string) => boolean,
): boolean {
  const ranks = new Set(inputs.map(({ shape }) => shape.length));
  const [rank = 0] = ranks;
  return ranks.size === 1 && rank >= 2 && nodes.every((node) => takesRowsAlone(node, isWeight));
}

function takesRowsAlone(node: OnnxNode, isWeight: (name: string) => boolean): boolean {
  const { domain, type, inputs, outputs, integers, bodies } = node;
  if (bodies.length > 0) return false;
  const name = domain === '' ? type : `${domain}.${type}`;
  if (TOGETHER.has(name)) return true;
  const [rows = '', ...others] = inputs;
  if (isWeight(rows) || !others.every((other) => other === '' || isWeight(other))) return false;
  const axis = integers.get('axis');
  if (name === 'Gemm') return (integers.get('transA') ?? 0) === 0;
  if (name === 'Flatten') return (axis ?? 1) > 0;
  if (name === 'Softmax' || name === 'LogSoftmax') return axis !== 0;
  // In inference its statistics are weights; in training they are of the micro-batch.
  if (name === 'BatchNormalization') return outputs.length === 1 && (integers.get('training_mode') ?? 0) === 0;
  return ALONE.has(name) && axis !== 0;
}
