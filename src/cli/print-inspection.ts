/** What `tandem inspect` prints for people: a line for each layer, or for several that repeat. */

import type { Inspection, LayerGroup, LayerInspection, RowsInspection } from '../job/inspection.js';
import { formatSpec } from '../tensor.js';
import { formatBytes } from './bytes.js';
import { printable } from './fail.js';
import { formatLayerName } from './layer-name.js';
import { formatTable } from './table.js';

const COLUMNS = [
  { title: 'layer', right: true },
  { title: 'name' },
  { title: 'type' },
  { title: 'output' },
  { title: 'weights', right: true },
  { title: 'FLOPs/row', right: true },
  { title: 'live before it/row', right: true },
];

const MIXES =
  "a row's answer depends on the other rows of its micro-batch: without --micro-batch each row is computed alone";

/** With `all`, layers that repeat have a line each. */
export function formatInspection(
  { format, inputs, outputs, layers, groups, ...whole }: Inspection,
  { all = false } = {},
): string {
  const folded = new Map(all ? [] : groups.map((group) => [group.layers.from, group]));
  const rows: string[][] = [];
  for (let n = 0; n < layers.length; n++) {
    const group = folded.get(n);
    rows.push(group ? groupLine(group, layers) : layerLine(layers[n]!));
    if (group) n = group.layers.to;
  }
  const work = whole.flopsPerRow ? `, ${formatCount(whole.flopsPerRow)} FLOPs a row (counted, an estimate)` : '';
  const count = `${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}`;
  const fed = inputs.map((input) => `${printable(input.name)} ${formatSpec(input)}`);
  const made = outputs.map(
    ({ name, dtype, shape }) => `${printable(name)} ${dtype && shape ? formatSpec({ dtype, shape }) : '?'}`,
  );
  return [
    `${format}: ${count}, ${formatBytes(whole.weightBytes)} of weights${work}`,
    `in   ${fed.join(', ')}`,
    `out  ${made.join(', ')}`,
    ...rowsLines([...inputs, ...outputs]),
    '',
    formatTable(COLUMNS, rows),
    ...(folded.size > 0 ? ['', 'layers that repeat are one line; --all prints a line for each'] : []),
    ...(layers.every(({ cut }) => cut) ? [] : ['', 'forbidden: the model cannot be cut before this layer']),
    ...(whole.batchInvariant === false ? ['', MIXES] : []),
    ...(whole.note ? ['', printable(whole.note)] : []),
    '',
  ].join('\n');
}

function layerLine(layer: LayerInspection): string[] {
  return [
    String(layer.layer),
    formatLayerName(layer.name),
    printable(layer.type),
    layer.output ? formatSpec(layer.output) : '?',
    layer.weightBytes > 0 ? formatBytes(layer.weightBytes) : '',
    layer.flopsPerRow ? formatCount(layer.flopsPerRow) : '',
    formatLive([layer]),
  ];
}

function groupLine(group: LayerGroup, layers: readonly LayerInspection[]): string[] {
  const { from, to } = group.layers;
  const own = layers.slice(from, to + 1);
  const { output } = own.at(-1)!;
  const flops = own.reduce((sum, { flopsPerRow }) => sum + (flopsPerRow ?? 0), 0);
  const weights = [formatBytes(group.weightBytesEach), formatBytes(group.weightBytes)];
  return [
    `${from}..${to}`,
    formatLayerName(group.name),
    printable(`${group.type} x ${group.count}`),
    output ? formatSpec(output) : '?',
    group.weightBytes > 0 ? `${weights[0]} each, ${weights[1]}` : '',
    flops > 0 ? formatCount(flops) : '',
    formatLive(own.filter((_, n) => n % group.layersEach === 0)),
  ];
}

/** The bytes across the cuts before these layers; where they differ, from the least to the most. */
function formatLive(layers: readonly LayerInspection[]): string {
  const legal = layers.filter(({ cut }) => cut);
  if (legal.length === 0) return 'forbidden';
  const bytes = legal.map(({ liveBytesPerRow }) => liveBytesPerRow).filter((live) => live !== null);
  if (bytes.length < legal.length) return '?';
  const [least, most] = [Math.min(...bytes), Math.max(...bytes)].map(formatBytes);
  return least === most ? least! : `${least} to ${most}`;
}

/** 12.3 M, 4.5 G. */
function formatCount(count: number): string {
  const units = ['', ' k', ' M', ' G', ' T'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toPrecision(3)}${units[unit]}`;
}

/** One line for all inputs and outputs with the same rows' axis and the same reason. */
function rowsLines(tensors: readonly { readonly name: string; readonly rows: RowsInspection }[]): string[] {
  const lines = new Map<string, { rows: RowsInspection; names: string[] }>();
  for (const { name, rows } of tensors) {
    const key = JSON.stringify(rows);
    lines.set(key, { rows, names: [...(lines.get(key)?.names ?? []), printable(name)] });
  }
  return [...lines.values()].map(
    ({ rows, names }) => `rows ${whereText(rows, names.join(', '))}: ${printable(rows.how)}`,
  );
}

function whereText({ lie, axis }: RowsInspection, names: string): string {
  if (lie === 'axis') return `on axis ${axis} of ${names}`;
  return lie === 'once' ? `share ${names}` : `not found in ${names}`;
}
