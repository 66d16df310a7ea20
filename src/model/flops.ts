/** Estimated work of each op for one row, in floating-point operations, from types, weights and shapes: good enough for a first plan. */
import { elementCount, type Shape } from '../tensor.js';
import type { ModelGraph, Op, TensorFacts } from './graph.js';
import type { GraphModelGraph } from './graph-model.js';
import { rowsAxisIn } from './move-rows.js';

/** How an op's work is counted. An op in no list does one operation for each element of its result. */
const KINDS: ReadonlyMap<string, Kind> = new Map(
  Object.entries({
    matmul:
      'MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 _FusedMatMul FusedMatMul Dense Dot Gemm MatMulNBits MatMulInteger QLinearMatMul DynamicQuantizeMatMul',
    einsum: 'Einsum',
    conv: 'Conv1D Conv2D Conv3D _FusedConv2D DepthwiseConv2D DepthwiseConv2dNative FusedDepthwiseConv2dNative SeparableConv1D SeparableConv2D Conv FusedConv ConvInteger QLinearConv',
    transposed: 'Conv2DTranspose Conv3DTranspose Conv2DBackpropInput ConvTranspose',
    recurrent: 'LSTM GRU SimpleRNN RNN Bidirectional ConvLSTM2D',
    nested: 'Sequential Model Functional TimeDistributed MultiHeadAttention Attention',
    reduce:
      'Mean Sum Max Min Prod All Any ArgMax ArgMin MaxPool AvgPool MaxPool3D AvgPool3D MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D ReduceMean ReduceSum ReduceMax ReduceMin AveragePool GlobalAveragePool GlobalMaxPool',
    move: 'Identity IdentityN Reshape Flatten Permute Transpose Squeeze ExpandDims Unsqueeze Concat ConcatV2 Concatenate Split SplitV Slice StridedSlice Gather GatherV2 GatherNd Pack Unpack Pad PadV2 MirrorPad Tile Shape Size Rank Embedding Dropout SpatialDropout1D InputLayer RepeatVector ZeroPadding2D Cropping2D UpSampling2D StopGradient Snapshot NoOp Placeholder PlaceholderWithDefault ReverseV2 SpaceToBatchND BatchToSpaceND DepthToSpace BroadcastTo Fill Range ZerosLike OnesLike Switch Merge Enter Exit NextIteration LoopCond EnsureShape Expand Constant ConstantOfShape',
  } satisfies Record<Kind, string>).flatMap(([kind, types]) =>
    types.split(' ').map((type) => [type, kind as Kind] as const),
  ),
);
type Kind = 'matmul' | 'einsum' | 'conv' | 'transposed' | 'recurrent' | 'nested' | 'reduce' | 'move';

/** The arguments of the counting functions for one op. Counts are elements for one row. */
interface Work {
  readonly op: Op;
  readonly inputs: readonly number[];
  readonly output: number;
  readonly outputShape: readonly number[] | undefined;
  /** Shapes of weights with two axes or more: they are multiplied; biases and scales are not counted. */
  readonly kernels: readonly (readonly number[])[];
  readonly operands: readonly (readonly number[] | undefined)[];
  readonly equation: string | undefined;
  readonly isOnnx: boolean;
}

/**
 * One number per op, for one row. A matrix product of (m, k) and (k, n) counts 2mkn; bias and activation of a layer are left out.
 * For tensors without facts (those with an axis of rows x something) only the number of elements is inferred.
 */
export function estimateFlops(graph: ModelGraph, facts: TensorFacts): number[] {
  const elements = new Map<string, number>();
  const shapes = new Map<string, readonly number[]>();
  const note = (name: string, fallback: number) => {
    const shape = oneRow(facts.get(name)?.shape, graph.fixedBatch);
    if (shape) shapes.set(name, shape);
    elements.set(name, shape ? elementCount(shape) : fallback);
  };
  for (const { name } of graph.inputs) note(name, 1);
  return graph.ops.map((op) => {
    const inputs = op.inputs.map((name) => elements.get(name) ?? 1);
    const weights = op.weights.map((name) => graph.weights.get(name)?.shape ?? []);
    const kernels = weights.filter((shape) => shape.length > 1);
    for (const name of op.outputs) note(name, guessedElements(op, inputs, kernels));
    const output = op.outputs.reduce((sum, name) => sum + elements.get(name)!, 0);
    const work: Work = {
      op,
      inputs,
      output,
      outputShape: shapes.get(op.outputs[0] ?? ''),
      kernels,
      operands: [...op.inputs.map((name) => shapes.get(name)), ...weights],
      equation: equationOf(graph, op),
      isOnnx: graph.format === 'onnx',
    };
    return Math.round(count(work));
  });
}

/** The dims for one row. If the model fixes the rows, axis 0 is assumed to be the rows'. */
function oneRow(shape: Shape | undefined, fixedBatch: number | null): number[] | undefined {
  if (!shape || (shape.includes(null) && rowsAxisIn(shape) === null)) return undefined;
  return shape.map((dim, axis) => (dim === null || (axis === 0 && dim === fixedBatch) ? 1 : dim));
}

/** Elements of a result of unknown shape: as many as the inputs have, except for a product with a matrix. */
function guessedElements({ type }: Op, inputs: readonly number[], kernels: readonly (readonly number[])[]): number {
  const most = Math.max(1, ...inputs);
  const [k, n] = kernels[0] ?? [];
  return KINDS.get(type) === 'matmul' && kernels[0]?.length === 2 ? (most / k!) * n! : most;
}

function count(work: Work): number {
  switch (KINDS.get(work.op.type)) {
    case 'move':
      return 0;
    case 'reduce':
      return Math.max(0, ...work.inputs);
    case 'matmul':
      return product(work);
    case 'einsum':
      return einsum(work);
    case 'conv':
      return convolution(work);
    case 'transposed':
      // Every input element is multiplied with the whole kernel except along its own axis.
      return (
        2 *
        (work.inputs.at(-1) ?? 0) *
        sum(work.kernels.map((kernel) => elementCount(kernel) / (work.isOnnx ? kernel[0]! : kernel.at(-1)!)))
      );
    case 'recurrent':
      // ONNX has the steps first, then the rows.
      return 2 * (work.operands[0]?.[work.isOnnx ? 0 : 1] ?? 1) * sum(work.kernels.map(elementCount));
    case 'nested':
      return nested(work);
    default:
      return work.output;
  }
}

/** (m, k) times (k, n), b times over: the operands and the result have b³(mkn)² elements between them. */
function product({ inputs, kernels, output, outputShape }: Work): number {
  const matrix = largest(kernels);
  const left = inputs[0] ?? 0;
  if (matrix) return 2 * Math.sqrt(left * elementCount(matrix) * output);
  const batches = elementCount(outputShape?.slice(0, -2) ?? []);
  return 2 * Math.sqrt((left * (inputs[1] ?? 0) * output) / batches);
}

/** Two for every combination of indices; without the equation or the shapes, as for one product. */
function einsum(work: Work): number {
  const terms = work.equation?.split('->', 1).join().replaceAll(' ', '').split(',') ?? [];
  const sizes = new Map<string, number>();
  for (const [n, term] of terms.entries()) {
    for (let axis = 0; axis < term.length; axis++) sizes.set(term[axis]!, work.operands[n]?.[axis] ?? Number.NaN);
  }
  const all = [...sizes.values()].reduce((size, dim) => size * dim, 2);
  return sizes.size > 0 && Number.isFinite(all) ? all : product(work);
}

/** Each kernel is applied at every position of the result, except along the axis that it fills. Depthwise kernels fill two. */
function convolution({ op, kernels, output, outputShape, isOnnx }: Work): number {
  const channels = outputShape?.at(isOnnx ? 1 : -1);
  const positions = channels ? output / channels : 1;
  if (/^Separable/.test(op.type)) return 2 * positions * sum(kernels.map(elementCount));
  const perElement = kernels.map((kernel) => {
    const filled = /Depthwise/.test(op.type) ? kernel.at(-1)! * kernel.at(-2)! : isOnnx ? kernel[0]! : kernel.at(-1)!;
    return elementCount(kernel) / filled;
  });
  return 2 * output * sum(perElement);
}

/** A nested model, of which only inputs and outputs are known: its kernels, at a number of positions between those of its input and output. */
function nested({ operands, outputShape, kernels }: Work): number {
  const positions = (shape: readonly number[] | undefined) => elementCount(shape?.slice(1, -1) ?? []);
  return 2 * Math.sqrt(positions(operands[0]) * positions(outputShape)) * sum(kernels.map(elementCount));
}

function equationOf(graph: ModelGraph, { index, type }: Op): string | undefined {
  if (graph.format !== 'graph-model' || type !== 'Einsum') return undefined;
  const { s } = ((graph as GraphModelGraph).nodes[index]?.attr.get('equation') ?? {}) as { s?: unknown };
  return typeof s === 'string' ? Buffer.from(s, 'base64').toString() : undefined;
}

function largest(shapes: readonly (readonly number[])[]): readonly number[] | undefined {
  return shapes.toSorted((a, b) => elementCount(b) - elementCount(a))[0];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
