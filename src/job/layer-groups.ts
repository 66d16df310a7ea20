/** Groups of repeating layers, for `inspect`. */
import { blockSignatures } from '../model/block-signature.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import { type Repeat, repeatsOf } from '../model/repeats.js';
import { formatSpec } from '../tensor.js';
import type { LayerGroup, LayerInspection } from './inspection.js';

/** Layers are of one kind if their signatures and output shapes are equal. */
export function groupsOf(graph: ModelGraph, layers: readonly LayerInspection[]): LayerGroup[] {
  const signatures = blockSignatures(graph);
  const keys = layers.map(({ output }, n) => `${signatures[n]} ${output ? formatSpec(output) : ''}`);
  // Groups begin where few bytes are live; of two such cuts, where a module begins.
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

/** Units of several layers are named by their modules if these differ. */
function nameOf(first: LayerInspection, last: LayerInspection, period: number): string {
  const names: [string, string] = [scopeOf(first), scopeOf(last)];
  const [a, b] = period > 1 && names[0] !== '' && names[0] !== names[1] ? names : [first.name, last.name];
  return `${a} … ${b}`;
}

function scopeOf({ name }: LayerInspection): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}
