/** Layers that repeat, as the groups that `inspect` shows and names. */
import { blockSignatures } from '../model/block-signature.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import { type Repeat, repeatsOf } from '../model/repeats.js';
import { formatSpec } from '../tensor.js';
import type { LayerInspection } from './inspect.js';

/** One unit of layers, `count` times over. */
export interface LayerGroup {
  /** What the names of its layers share, from the first to the last: `encoder/layer.0 … encoder/layer.11`. */
  readonly name: string;
  /** The type of a unit: its layer's own, or how many layers it has. */
  readonly type: string;
  /** Layers of the whole group, both included. */
  readonly layers: { readonly from: number; readonly to: number };
  /** How often the unit stands there, and of how many layers it is. */
  readonly count: number;
  readonly layersEach: number;
  readonly weightBytesEach: number;
  readonly weightBytes: number;
}

/** Layers are of one kind when their signatures and the shapes that they give are equal. */
export function groupsOf(graph: ModelGraph, layers: readonly LayerInspection[]): LayerGroup[] {
  const signatures = blockSignatures(graph);
  const keys = layers.map(({ output }, n) => `${signatures[n]} ${output ? formatSpec(output) : ''}`);
  // A person parts a model where little lives and, of two such places, where another module begins.
  const cost = (n: number) =>
    layers[n]!.liveTensors.length - (n > 0 && scopeOf(layers[n]!) !== scopeOf(layers[n - 1]!) ? 0.5 : 0);
  return repeatsOf(keys, cost).map((repeat) => groupOf(graph, layers, repeat));
}

function groupOf(graph: ModelGraph, layers: readonly LayerInspection[], { from, period, count }: Repeat): LayerGroup {
  const to = from + period * count - 1;
  // Weights that are shared count once.
  const bytes = (first: number, last: number) => weightBytes(graph, graph.layers[first]!.from, graph.layers[last]!.to);
  return {
    name: nameOf(layers[from]!, layers[to]!, period),
    type: period === 1 ? layers[from]!.type : `${period} layers`,
    layers: { from, to },
    count,
    layersEach: period,
    weightBytesEach: bytes(from, from + period - 1),
    weightBytes: bytes(from, to),
  };
}

/** Units of several layers go by their modules, where these tell them apart. */
function nameOf(first: LayerInspection, last: LayerInspection, period: number): string {
  const names: [string, string] = [scopeOf(first), scopeOf(last)];
  const [a, b] = period > 1 && names[0] !== '' && names[0] !== names[1] ? names : [first.name, last.name];
  return `${a} … ${b}`;
}

function scopeOf({ name }: LayerInspection): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}
