/** Initial weights of a layer: the generated values, and the initializers in the topology. */
import type { MadeWeight } from './model-files.js';

/** Uniform, so that the magnitude of activations is kept through a layer. */
export function glorot(name: string, shape: readonly number[], fanIn: number, fanOut: number): MadeWeight {
  const limit = Math.sqrt(6 / (fanIn + fanOut));
  return { name, shape, low: -limit, high: limit };
}

export function bias(units: number): MadeWeight {
  return { name: 'bias', shape: [units], low: -0.1, high: 0.1 };
}

/** Initializers in a layer's config. tfjs would run them and fill memory if tandem allowed it. */
export function initializers(...names: readonly string[]): object {
  return Object.fromEntries(
    names.map((name) => [`${name}_initializer`, { class_name: 'GlorotUniform', config: { seed: null } }]),
  );
}
