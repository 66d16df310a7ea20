/** Builds the topology of a LayersModel in the form that Keras writes, and lists the weights of each layer. */
import { bias, glorot, initializers } from './initializers.js';
import type { MadeModel, MadeWeight } from './model-files.js';

/** One output tensor of one call; `shape` without the rows' axis. */
export interface Ref {
  readonly layer: string;
  readonly node: number;
  readonly tensor: number;
  readonly shape: readonly number[];
}

interface Entry {
  readonly name: string;
  readonly class_name: string;
  readonly config: Record<string, unknown>;
  readonly inbound_nodes: unknown[][];
}

interface ConvOptions {
  readonly strides?: number;
  readonly activation?: string;
  readonly padding?: 'same' | 'valid';
  readonly bias?: boolean;
}

function windowConfig(strides: number, padding: 'same' | 'valid'): object {
  return { strides: [strides, strides], padding, data_format: 'channels_last' };
}

/** Height and width of x after a window of `size`. */
function slide(x: Ref, size: readonly [number, number], strides: number, padding: 'same' | 'valid'): number[] {
  return size.map((window, axis) => {
    const room = padding === 'same' ? x.shape[axis]! : x.shape[axis]! - window + 1;
    return Math.ceil(room / strides);
  });
}

/** A functional model under construction. Every method adds a call and returns its (first) tensor. */
export class Layers {
  readonly #entries = new Map<string, Entry>();
  readonly #inputs: Ref[] = [];
  readonly #weights: MadeWeight[] = [];

  input(name: string, shape: readonly number[], dtype: 'float32' | 'int32' = 'float32'): Ref {
    this.#entries.set(name, {
      name,
      class_name: 'InputLayer',
      config: { name, batch_input_shape: [null, ...shape], dtype, sparse: false },
      inbound_nodes: [],
    });
    const ref = { layer: name, node: 0, tensor: 0, shape };
    this.#inputs.push(ref);
    return ref;
  }

  /** Adds a layer; an existing name adds another call of that layer. */
  call(
    type: string,
    name: string,
    inputs: readonly Ref[],
    shape: readonly number[],
    config: object = {},
    weights: readonly MadeWeight[] = [],
  ): Ref {
    const inbound = inputs.map(({ layer, node, tensor }) => [layer, node, tensor, {}]);
    const known = this.#entries.get(name);
    if (known) {
      known.inbound_nodes.push(inbound);
      return { layer: name, node: known.inbound_nodes.length - 1, tensor: 0, shape };
    }
    this.#entries.set(name, {
      name,
      class_name: type,
      config: { trainable: true, ...config, name },
      inbound_nodes: [inbound],
    });
    this.#weights.push(...weights.map((weight) => ({ ...weight, name: `${name}/${weight.name}` })));
    return { layer: name, node: 0, tensor: 0, shape };
  }

  /** Adds a model as a layer; an existing name adds another call. Its first call is node 1: node 0 is the model itself. */
  nested(name: string, inner: MadeModel, inputs: readonly Ref[], shape: readonly number[]): Ref {
    const { model_config } = inner.modelTopology as { model_config: { class_name: string; config: object } };
    if (!this.#entries.has(name)) this.#weights.push(...inner.weights);
    const ref = this.call(model_config.class_name, name, inputs, shape, { ...model_config.config, name });
    return { ...ref, node: ref.node + 1 };
  }

  dense(name: string, x: Ref, units: number, activation = 'linear'): Ref {
    const depth = x.shape.at(-1)!;
    const weights = [glorot('kernel', [depth, units], depth, units), bias(units)];
    return this.call(
      'Dense',
      name,
      [x],
      [...x.shape.slice(0, -1), units],
      { units, activation, use_bias: true, ...initializers('kernel', 'bias') },
      weights,
    );
  }

  conv2d(
    name: string,
    x: Ref,
    filters: number,
    size: number | readonly [number, number],
    { strides = 1, activation = 'linear', padding = 'same', bias: hasBias = true }: ConvOptions = {},
  ): Ref {
    const [rows, columns] = typeof size === 'number' ? [size, size] : size;
    const depth = x.shape[2]!;
    const area = rows * columns;
    const kernel = glorot('kernel', [rows, columns, depth, filters], area * depth, area * filters);
    const config = {
      filters,
      kernel_size: [rows, columns],
      ...windowConfig(strides, padding),
      dilation_rate: [1, 1],
      activation,
      use_bias: hasBias,
    };
    const weights = hasBias ? [kernel, bias(filters)] : [kernel];
    const shape = [...slide(x, [rows, columns], strides, padding), filters];
    return this.call('Conv2D', name, [x], shape, { ...config, ...initializers('kernel', 'bias') }, weights);
  }

  depthwise(
    name: string,
    x: Ref,
    size: number,
    { strides = 1, activation = 'linear', padding = 'same', bias: hasBias = true }: ConvOptions = {},
  ): Ref {
    const depth = x.shape[2]!;
    const kernel = glorot('depthwise_kernel', [size, size, depth, 1], size * size, size * size);
    const config = {
      kernel_size: [size, size],
      ...windowConfig(strides, padding),
      depth_multiplier: 1,
      activation,
      use_bias: hasBias,
    };
    const weights = hasBias ? [kernel, bias(depth)] : [kernel];
    const shape = [...slide(x, [size, size], strides, padding), depth];
    return this.call('DepthwiseConv2D', name, [x], shape, { ...config, ...initializers('depthwise', 'bias') }, weights);
  }

  pool(
    name: string,
    kind: 'max' | 'average',
    x: Ref,
    size: number,
    { strides = size, padding = 'valid' }: Pick<ConvOptions, 'strides' | 'padding'> = {},
  ): Ref {
    const type = kind === 'max' ? 'MaxPooling2D' : 'AveragePooling2D';
    const config = { pool_size: [size, size], ...windowConfig(strides, padding) };
    return this.call(type, name, [x], [...slide(x, [size, size], strides, padding), x.shape[2]!], config);
  }

  globalPool(name: string, x: Ref): Ref {
    return this.call('GlobalAveragePooling2D', name, [x], [x.shape[2]!], { data_format: 'channels_last' });
  }

  reshape(name: string, x: Ref, shape: readonly number[]): Ref {
    return this.call('Reshape', name, [x], shape, { target_shape: shape });
  }

  batchNorm(name: string, x: Ref): Ref {
    const depth = x.shape.at(-1)!;
    const weights = [
      { name: 'gamma', shape: [depth], low: 0.5, high: 1.5 },
      { name: 'beta', shape: [depth], low: -0.5, high: 0.5 },
      { name: 'moving_mean', shape: [depth], low: -0.5, high: 0.5 },
      { name: 'moving_variance', shape: [depth], low: 0.5, high: 1.5 },
    ];
    const config = { axis: -1, momentum: 0.99, epsilon: 0.001, center: true, scale: true };
    return this.call(
      'BatchNormalization',
      name,
      [x],
      x.shape,
      { ...config, ...initializers('gamma', 'beta', 'moving_mean', 'moving_variance') },
      weights,
    );
  }

  layerNorm(name: string, x: Ref): Ref {
    const depth = x.shape.at(-1)!;
    const weights = [
      { name: 'gamma', shape: [depth], low: 0.5, high: 1.5 },
      { name: 'beta', shape: [depth], low: -0.5, high: 0.5 },
    ];
    return this.call(
      'LayerNormalization',
      name,
      [x],
      x.shape,
      { axis: [-1], epsilon: 0.001, center: true, scale: true, ...initializers('gamma', 'beta') },
      weights,
    );
  }

  embedding(name: string, x: Ref, words: number, depth: number, maskZero = false): Ref {
    const weights = [{ name: 'embeddings', shape: [words, depth] }];
    const config = {
      input_dim: words,
      output_dim: depth,
      mask_zero: maskZero,
      input_length: null,
      ...initializers('embeddings'),
    };
    return this.call('Embedding', name, [x], [...x.shape, depth], config, weights);
  }

  lstm(name: string, x: Ref, units: number, { returnSequences = false, returnState = false } = {}): Ref {
    const [steps, depth] = x.shape as [number, number];
    const shape = returnSequences ? [steps, units] : [units];
    return this.call(
      'LSTM',
      name,
      [x],
      shape,
      lstmConfig(units, returnSequences, returnState),
      lstmWeights(depth, units),
    );
  }

  gru(name: string, x: Ref, units: number, returnSequences: boolean): Ref {
    const [steps, depth] = x.shape as [number, number];
    const { unit_forget_bias: _, ...config } = lstmConfig(units, returnSequences, false);
    const weights = [
      glorot('kernel', [depth, 3 * units], depth, units),
      glorot('recurrent_kernel', [units, 3 * units], units, units),
      bias(3 * units),
    ];
    const shape = returnSequences ? [steps, units] : [units];
    return this.call('GRU', name, [x], shape, { ...config, reset_after: false }, weights);
  }

  /** Bidirectional, with concatenated final states: (steps, depth) -> (2 x units). */
  bidirectionalLstm(name: string, x: Ref, units: number): Ref {
    const layer = { class_name: 'LSTM', config: { name: `${name}_lstm`, ...lstmConfig(units, false, false) } };
    const weights = ['forward', 'backward'].flatMap((way) =>
      lstmWeights(x.shape[1]!, units).map((weight) => ({ ...weight, name: `${way}_${name}_lstm/${weight.name}` })),
    );
    return this.call('Bidirectional', name, [x], [2 * units], { layer, merge_mode: 'concat' }, weights);
  }

  /** A Dense at every step: (steps, depth) -> (steps, units). */
  timeDistributedDense(name: string, x: Ref, units: number): Ref {
    const [steps, depth] = x.shape as [number, number];
    const config = {
      name: `${name}_dense`,
      units,
      activation: 'linear',
      use_bias: true,
      ...initializers('kernel', 'bias'),
    };
    const weights = [glorot('kernel', [depth, units], depth, units), bias(units)];
    return this.call('TimeDistributed', name, [x], [steps, units], { layer: { class_name: 'Dense', config } }, weights);
  }

  activation(name: string, x: Ref, activation: string): Ref {
    return this.call('Activation', name, [x], x.shape, { activation });
  }

  add(name: string, ...xs: readonly [Ref, ...Ref[]]): Ref {
    return this.call('Add', name, xs, xs[0].shape);
  }

  concat(name: string, ...xs: readonly Ref[]): Ref {
    const last = xs.reduce((sum, { shape }) => sum + shape.at(-1)!, 0);
    return this.call('Concatenate', name, xs, [...xs[0]!.shape.slice(0, -1), last], { axis: -1 });
  }

  /** The functional model; `outputs` in order. */
  functional(name: string, outputs: readonly Ref[]): MadeModel {
    const ends = (refs: readonly Ref[]) => refs.map(({ layer, node, tensor }) => [layer, node, tensor]);
    const config = {
      name,
      layers: [...this.#entries.values()],
      input_layers: ends(this.#inputs),
      output_layers: ends(outputs),
    };
    return this.#model('Functional', config);
  }

  /** The Sequential model, for a chain of layers. */
  sequential(name: string): MadeModel {
    const layers = [...this.#entries.values()].map(({ class_name, config }) => ({ class_name, config }));
    return this.#model('Sequential', { name, layers });
  }

  #model(type: string, config: object): MadeModel {
    const modelTopology = {
      keras_version: '2.15.0',
      backend: 'tensorflow',
      model_config: { class_name: type, config },
    };
    return { format: 'layers-model', modelTopology, weights: this.#weights };
  }
}

function lstmConfig(units: number, returnSequences: boolean, returnState: boolean) {
  return {
    units,
    activation: 'tanh',
    recurrent_activation: 'sigmoid',
    use_bias: true,
    unit_forget_bias: true,
    return_sequences: returnSequences,
    return_state: returnState,
    go_backwards: false,
    stateful: false,
    unroll: false,
    ...initializers('kernel', 'recurrent', 'bias'),
  };
}

function lstmWeights(depth: number, units: number): MadeWeight[] {
  return [
    glorot('kernel', [depth, 4 * units], depth, units),
    glorot('recurrent_kernel', [units, 4 * units], units, units),
    bias(4 * units),
  ];
}
