/** What a layer's weights begin as: the values that are made, and what the topology says about them. */
import type { MadeWeight } from './model-files.js';

/** Uniform, so that what goes through a layer keeps its size. */
export function glorot(name: string, shape: readonly number[], fanIn: number, fanOut: number): MadeWeight {
  const limit = Math.sqrt(6 / (fanIn + fanOut));
  return { name, shape, low: -limit, high: limit };
}

export function bias(units: number): MadeWeight {
  return { name: 'bias', shape: [units], low: -0.1, high: 0.1 };
}

/** Entries of a layer's config. tfjs would run them, and fill memory, if it were let. */
export function initializers(...names: readonly string[]): object {
  return Object.fromEntries(
    names.map((name) => [`${name}_initializer`, { class_name: 'GlorotUniform', config: { seed: null } }]),
  );
}
