/** Shows the plan: the model's layers as a bar cut into stages, and for each stage its device, its load and its memory. */
import type { RunPart } from '../record.js';
import { element, section } from './element.js';
import { bytes, count, duration, percent, several } from './figures.js';
import { groupsOf, replicasOf, type Stage } from './stage-groups.js';

type StagePlan = RunPart['stages'][number];

const CUT_BY: Readonly<Record<string, string>> = {
  layers: 'cut as given on the command line',
  measured: 'cut by measured times',
  flops: 'cut by counted FLOPs, an estimate of each layer’s time',
  weights: 'cut by bytes of weights, because the shapes were not known',
};

export function plan(run: RunPart): HTMLElement {
  const { summary, stages } = run;
  const of = summary.stages[0]!.layers.of;
  const groups = groupsOf(summary.stages);
  const segments = groups.map((group) => {
    const { from, to } = group[0]!.layers;
    const label = `${from}${to > from ? `–${to}` : ''}`;
    const parts = group.map(({ stage, device }) =>
      element('div', { class: `tone-${stage % 6}` }, element('b', {}, device), element('span', {}, label)),
    );
    const segment = element('li', {}, ...parts);
    segment.style.flexGrow = String(to - from + 1);
    return segment;
  });
  const facts = [
    `${several(of, 'layer')} in ${several(summary.stages.length, 'stage')}`,
    ...(groups.length > 1 ? [CUT_BY[summary.cutBy] ?? `cut by ${summary.cutBy}`] : []),
    `micro-batches of ${several(summary.microBatchRows, 'row')}, ${several(summary.depth, 'micro-batch')} in flight at most`,
    `stages in ${summary.isolation === 'process' ? 'separate processes' : 'threads of one process'}`,
    `arena ${bytes(summary.arenaBytes)}`,
    ...(summary.batchInvariant ? ['a row’s answer does not depend on the other rows'] : []),
  ];
  return section(
    'plan',
    'Plan',
    element('p', { class: 'quiet' }, `${facts.join(' · ')}.`),
    summary.batchInvariant === false ? dependence(summary.microBatchRows) : null,
    element('ol', { class: 'layers', 'aria-label': 'Layers by stage' }, ...segments),
    element('div', { class: 'stages' }, ...summary.stages.map((stage, j) => stageCard(stage, stages[j]!, run))),
  );
}

function dependence(microBatchRows: number): HTMLElement {
  const depends = 'A row’s answer depends on the other rows of its micro-batch';
  if (microBatchRows === 1) return element('p', {}, `${depends}, so each row was computed alone.`);
  const other = `: in micro-batches of ${several(microBatchRows, 'row')} it differs from that of the row alone.`;
  return element('p', { class: 'warning' }, `${depends}${other}`);
}

function stageCard(
  stage: Stage,
  { firstLayer, lastLayer, liveBytes, budgetBytes }: StagePlan,
  run: RunPart,
): HTMLElement {
  const { device, deviceName, provider, ranOn, layers, workers, threads, busySeconds, utilisation } = stage;
  const { engine, microBatches } = run.summary;
  const { others, share, round } = replicasOf(run.summary.stages, stage);
  const own = (microBatches * share) / round;
  const fellBack = device.split(':')[0] !== ranOn;
  const names = layers.from === layers.to ? firstLayer : `${firstLayer} … ${lastLayer}`;
  const fact = (name: string, ...value: (Node | string)[]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, ...value));
  return element(
    'article',
    {},
    element('h3', {}, element('i', { class: `dot tone-${stage.stage % 6}` }), `Stage ${stage.stage} · ${device}`),
    fellBack ? element('p', { class: 'warning' }, `Asked for ${device}, computed on ${ranOn}.`) : null,
    element(
      'dl',
      { class: 'facts' },
      fact('ran on', deviceName),
      fact('engine', `${engine} / ${provider}`),
      fact('layers', `${layers.from}–${layers.to}: `, element('bdi', { class: 'name' }, names)),
      fact('workers', `${count(workers)} × ${several(threads, 'thread')}`),
      fact('time per micro-batch', own > 0 ? duration(busySeconds / own) : '–'),
      others.length > 0
        ? fact('replica of', `stage ${others.map((each) => each.stage).join(', ')}: ${share} of ${round} micro-batches`)
        : null,
      fact('input', `${bytes(liveBytes)} per micro-batch`),
    ),
    meter('busy', utilisation, `${percent(utilisation)}`, `tone-${stage.stage % 6}`),
    memory(stage, budgetBytes),
  );
}

function meter(name: string, share: number, text: string, tone: string): HTMLElement {
  const fill = element('i', { class: tone });
  fill.style.width = `${Math.min(100, share * 100)}%`;
  return element(
    'div',
    { class: 'meter' },
    element('span', {}, name),
    element('span', { class: 'track' }, fill),
    element('b', {}, text),
  );
}

/** Shows the weights and all other memory of the stage, compared with the budget if there is one. */
function memory({ stage, weightBytes, peakRssBytes }: Stage, budgetBytes: number | null): HTMLElement {
  const held = Math.max(peakRssBytes ?? weightBytes, weightBytes);
  const whole = Math.max(held, budgetBytes ?? 0) || 1;
  const part = (kind: string, amount: number) => {
    const made = element('i', { class: `${kind} tone-${stage % 6}` });
    made.style.width = `${(amount / whole) * 100}%`;
    return made;
  };
  const track = element('span', { class: 'track' }, part('weights', weightBytes), part('other', held - weightBytes));
  if (budgetBytes !== null) {
    const mark = element('em', { title: `budget ${bytes(budgetBytes)}` });
    mark.style.left = `${(budgetBytes / whole) * 100}%`;
    track.append(mark);
  }
  const text = [
    `weights ${bytes(weightBytes)}`,
    peakRssBytes === null ? 'the process is shared' : `peak ${bytes(peakRssBytes)}`,
    budgetBytes === null ? 'no budget set' : `budget ${bytes(budgetBytes)}`,
  ].join(' · ');
  const over = budgetBytes !== null && held > budgetBytes;
  return element(
    'div',
    { class: over ? 'memory over' : 'memory' },
    element(
      'div',
      { class: 'meter' },
      element('span', {}, 'memory'),
      track,
      element('b', {}, peakRssBytes === null ? bytes(weightBytes) : bytes(held)),
    ),
    element('p', { class: 'quiet' }, text),
  );
}
