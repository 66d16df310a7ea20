/** Quantised ONNX models: int8 with QuantizeLinear and DequantizeLinear, int4 with MatMulNBits. */
import { Graph } from './graph.js';

/** Convolutions between quantise and dequantise, as `quantize_static` writes them: image (batch, 3, 8, 8) to (batch, 4, 8, 8). */
export function qdq(blocks = 3, seed = 1): Graph {
  const g = new Graph('qdq', seed);
  const scale = g.constant('scale', { dtype: 'float32', shape: [], data: Float32Array.of(0.02) });
  const zero = g.constant('zero', { dtype: 'uint8', shape: [], data: Uint8Array.of(128) });
  const weightScale = g.constant('weight_scale', { dtype: 'float32', shape: [], data: Float32Array.of(0.004) });
  const weightZero = g.constant('weight_zero', { dtype: 'int8', shape: [], data: Int8Array.of(0) });
  const through = (x: string, at: string) => {
    const quantised = g.node('QuantizeLinear', [x, scale, zero], { name: `${at}/QuantizeLinear` });
    return g.node('DequantizeLinear', [quantised, scale, zero], { name: `${at}/DequantizeLinear` });
  };
  let x = through(g.input('image', 'float32', ['batch', 3, 8, 8]), '/input');
  let channels = 3;
  for (let n = 0; n < blocks; n++) {
    const at = `/blocks.${n}`;
    const stored = g.weight(`blocks.${n}.weight_quantized`, [4, channels, 3, 3], 'int8', 127);
    const weight = g.node('DequantizeLinear', [stored, weightScale, weightZero], {
      name: `${at}/weight/DequantizeLinear`,
    });
    const made = g.node('Conv', [x, weight], { name: `${at}/Conv`, kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
    x = through(g.node('Relu', [made], { name: `${at}/Relu` }), at);
    channels = 4;
  }
  g.output(x, 'float32', ['batch', 4, 8, 8]);
  return g;
}

/** Layers of 4-bit weights: x (batch, 64) to (batch, 64). */
export function int4(layers = 3, seed = 1): Graph {
  const g = new Graph('int4', seed);
  const width = 64;
  const block = 32;
  let x = g.input('x', 'float32', ['batch', width]);
  for (let n = 0; n < layers; n++) {
    const packed = g.weight(`w${n}_Q4`, [width, width / block, block / 2], 'uint8', 256);
    const scales = g.weight(`w${n}_scales`, [width * (width / block)], 'float32', 0.05);
    x = g.node('MatMulNBits', [x, packed, scales], {
      name: `/layers.${n}/MatMul_Q4`,
      domain: 'com.microsoft',
      K: width,
      N: width,
      bits: 4,
      block_size: block,
    });
    x = g.node('Tanh', [x], { name: `/layers.${n}/Tanh` });
  }
  g.output(x, 'float32', ['batch', width]);
  return g;
}
