/** The demo's classifier: a residual network for digits of 8 x 8 pixels, 26 MFLOP a row. */
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-node';
import type { Tfjs } from '../../src/engine/tfjs/native.js';
import { CLASSES, SIDE } from './digits.js';

const CHANNELS = 48;
/** An odd number, so that the middle of the work is inside a block: a cut there also carries the skip connection. */
const BLOCKS = 5;

/** Untrained, with random kernels from `seed`: digits (rows, 8, 8, 1) to probabilities (rows, 10). */
export function classifier(tf: Tfjs, seed: number): LayersModel {
  let drawn = seed;
  const initializer = () => tf.initializers.heNormal({ seed: drawn++ });

  const norm = (x: SymbolicTensor, unit: string) =>
    tf.layers.batchNormalization({ name: `${unit}/norm`, momentum: 0.9 }).apply(x) as SymbolicTensor;
  const relu = (x: SymbolicTensor, unit: string) =>
    tf.layers.activation({ name: `${unit}/relu`, activation: 'relu' }).apply(x) as SymbolicTensor;
  const conv = (x: SymbolicTensor, unit: string) => {
    const options = { filters: CHANNELS, kernelSize: 3, padding: 'same', useBias: false } as const;
    const layer = tf.layers.conv2d({ name: `${unit}/conv`, ...options, kernelInitializer: initializer() });
    return norm(layer.apply(x) as SymbolicTensor, unit);
  };
  const block = (x: SymbolicTensor, n: number) => {
    const [first, second] = [`unit.${2 * n}`, `unit.${2 * n + 1}`] as const;
    const changed = conv(relu(conv(x, first), first), second);
    return relu(tf.layers.add({ name: `${second}/add` }).apply([changed, x]) as SymbolicTensor, second);
  };

  const input = tf.input({ name: 'digit', shape: [SIDE, SIDE, 1] });
  let x = relu(conv(input, 'stem'), 'stem');
  for (let n = 0; n < BLOCKS; n++) x = block(x, n);
  x = tf.layers.globalAveragePooling2d({ name: 'head/pool' }).apply(x) as SymbolicTensor;
  const scores = tf.layers.dense({ name: 'head/scores', units: CLASSES, kernelInitializer: initializer() });
  const softmax = tf.layers.activation({ name: 'head/softmax', activation: 'softmax' });
  return tf.model({ name: 'digits', inputs: input, outputs: softmax.apply(scores.apply(x)) as SymbolicTensor });
}
