/** Whether a TensorFlow.js model's ops prove that no row of a micro-batch can change another's answer. */
import type { TensorSpec } from '../tensor.js';
import type { Op } from './graph.js';

/** Keras layers that never compute along the rows' axis, whatever their settings. */
const LAYERS: ReadonlySet<string> = new Set([
  ...[
    'InputLayer',
    'Dense',
    'Activation',
    'ReLU',
    'LeakyReLU',
    'PReLU',
    'ELU',
    'ThresholdedReLU',
    'Dropout',
    'Flatten',
  ],
  ...['SpatialDropout1D', 'Reshape', 'Permute', 'RepeatVector', 'Embedding', 'Conv1D', 'Conv2D', 'Conv3D'],
  ...['Conv2DTranspose', 'Conv3DTranspose', 'DepthwiseConv2D', 'SeparableConv2D', 'Cropping2D', 'ZeroPadding2D'],
  ...['UpSampling2D', 'AveragePooling1D', 'AveragePooling2D', 'AveragePooling3D', 'MaxPooling1D', 'MaxPooling2D'],
  ...['MaxPooling3D', 'GlobalAveragePooling1D', 'GlobalAveragePooling2D', 'GlobalMaxPooling1D', 'GlobalMaxPooling2D'],
  ...[
    'Add',
    'Average',
    'Maximum',
    'Minimum',
    'Multiply',
    'SimpleRNN',
    'GRU',
    'LSTM',
    'GaussianNoise',
    'GaussianDropout',
  ],
]);

/** Ops of a GraphModel that compute each row alone if their other inputs are weights. */
const ALONE: ReadonlySet<string> = new Set([
  ...['Conv2D', '_FusedConv2D', 'FusedConv2D', 'DepthwiseConv2dNative', 'FusedDepthwiseConv2dNative', 'MatMul'],
  ...['_FusedMatMul', 'BiasAdd', 'Relu', 'Relu6', 'LeakyRelu', 'Elu', 'Selu', 'Sigmoid', 'Tanh', 'Softmax', 'Identity'],
  ...['AvgPool', 'MaxPool', 'Rsqrt', 'Sqrt', 'Square', 'Exp', 'Log', 'Neg', 'Abs', 'Erf'],
]);
const TOGETHER: ReadonlySet<string> = new Set([
  ...['Add', 'AddV2', 'Sub', 'Mul', 'RealDiv', 'Maximum', 'Minimum', 'SquaredDifference'],
]);

export function layersAreBatchInvariant(ops: readonly Op[]): boolean {
  return ops.every(({ type }) => LAYERS.has(type));
}

/** False if unknown. All listed ops keep the rows on axis 0. */
export function opsAreBatchInvariant(ops: readonly Op[], inputs: readonly TensorSpec[]): boolean {
  const ranks = new Set(inputs.map(({ shape }) => shape.length));
  const [rank = 0] = ranks;
  if (ranks.size !== 1 || rank < 2) return false;
  return ops.every(({ type, inputs: reads }) => TOGETHER.has(type) || (ALONE.has(type) && reads.length <= 1));
}
