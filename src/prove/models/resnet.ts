/** ResNet-50 (He et al. 2015) with seeded weights, as PyTorch's exporter writes it, with batch normalisation folded into the convolutions. */
import { Graph } from './graph.js';

/** Channels and blocks of the four stages; a block is 1 x 1, 3 x 3, 1 x 1 with four times the channels. */
const STAGES = [
  [64, 3],
  [128, 4],
  [256, 6],
  [512, 3],
] as const;

interface Window {
  readonly size: number;
  readonly strides?: number;
}

/** ResNet-50, or one with other stages: pixel_values (batch, 3, side, side) to logits (batch, 1000). */
export function resnet(
  side = 224,
  seed = 1,
  shape: readonly (readonly [channels: number, blocks: number])[] = STAGES,
): Graph {
  const g = new Graph('main_graph', seed);
  const relu = (x: string, name: string) => g.node('Relu', [x], { name: `/${name}/Relu` });
  const conv = (x: string, name: string, from: number, to: number, { size, strides = 1 }: Window) => {
    // Half of the usual scale, so that sixteen residual sums stay within the range of float32.
    const scale = 0.5 / Math.sqrt(from * size * size);
    const weight = g.weight(`${name.replaceAll('/', '.')}.weight`, [to, from, size, size], 'float32', scale);
    const bias = g.weight(`${name.replaceAll('/', '.')}.bias`, [to], 'float32', 0.1);
    const pad = size >> 1;
    const window = { kernel_shape: [size, size], strides: [strides, strides], pads: [pad, pad, pad, pad] };
    return g.node('Conv', [x, weight, bias], { name: `/${name}/Conv`, ...window });
  };

  const image = g.input('pixel_values', 'float32', ['batch', 3, side, side]);
  let x = relu(conv(image, 'stem', 3, 64, { size: 7, strides: 2 }), 'stem');
  x = g.node('MaxPool', [x], { name: '/stem/MaxPool', kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
  let depth = 64;
  for (const [stage, [channels, blocks]] of shape.entries()) {
    for (let n = 0; n < blocks; n++) {
      const name = `stages.${stage}/layers.${n}`;
      const strides = n === 0 && stage > 0 ? 2 : 1;
      let y = relu(conv(x, `${name}/conv1`, depth, channels, { size: 1 }), `${name}/act1`);
      y = relu(conv(y, `${name}/conv2`, channels, channels, { size: 3, strides }), `${name}/act2`);
      y = conv(y, `${name}/conv3`, channels, 4 * channels, { size: 1 });
      const shortcut = n === 0 ? conv(x, `${name}/shortcut`, depth, 4 * channels, { size: 1, strides }) : x;
      x = relu(g.node('Add', [y, shortcut], { name: `/${name}/Add` }), `${name}/act3`);
      depth = 4 * channels;
    }
  }
  x = g.node('Flatten', [g.node('GlobalAveragePool', [x], { name: '/pool/GlobalAveragePool' })], { name: '/Flatten' });
  const weight = g.weight('classifier.weight', [depth, 1000]);
  const bias = g.weight('classifier.bias', [1000], 'float32', 0.1);
  g.output(g.node('Gemm', [x, weight, bias], { name: '/classifier/Gemm', as: 'logits' }), 'float32', ['batch', 1000]);
  return g;
}
