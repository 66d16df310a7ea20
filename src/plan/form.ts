/** Forms: the shapes that a plan may have before the model is cut: how many stages, on which devices, staffed in which ways. */
import { sectionsOf } from '../arena/turns.js';
import type { EngineName } from '../engine/engine.js';
import { ENGINES, isCpu } from '../engine/registry.js';
import type { TandemError } from '../errors.js';
import type { ModelGraph } from '../model/graph.js';
import type { Isolation } from '../pool/isolation.js';
import { sum } from '../sums.js';
import type { WantedStaffing } from './measure.js';
import { type Rival, resolveStages, type StageOptions } from './plan.js';
import { staffingKey } from './profile.js';
import type { Staffing } from './stopwatch.js';

/** One way to staff one stage. */
export interface Way {
  readonly device: string;
  readonly engine: EngineName;
  readonly provider: string;
  readonly threads: number;
  readonly workers: number;
  /** Bytes that the user lets it hold. */
  readonly memory: number | undefined;
  /** As what it is measured. */
  readonly staffing: Staffing;
  /** Left out where it cannot even be measured: there is another that does with less. */
  readonly optional?: boolean;
  /** Micro-batches of each round that the user gives it beside others. */
  readonly turns?: number | undefined;
  /** What stands beside it, on the same layers. */
  readonly beside?: readonly Way[];
}

/** All that stand beside each other. */
export function crewOf(way: Way): readonly Way[] {
  return [way, ...(way.beside ?? [])];
}

export interface Form {
  /** For people: `2 stages: cpu, cpu`. */
  readonly name: string;
  /** For each stage, in order. */
  readonly stages: readonly (readonly Way[])[];
}

/** Stages on the CPU that are tried at most; more of them gain nothing that workers of one do not. */
const MOST_CPU_STAGES = 4;

/** Workers of a stage on a card that are tried at most: while the card computes for one, the rows of the other come and its results go. */
const MOST_CARD_WORKERS = 2;

/** The forms for stages that the user has named: one, its stages staffed as asked, or in every way where nothing was asked. */
export function namedForms(graph: ModelGraph, stages: readonly StageOptions[], cores: number): Form[] {
  const resolved = resolveStages(graph, stages);
  const open = (stage: StageOptions) =>
    isCpu(stage.device) && stage.threads === undefined && stage.workers === undefined;
  const cpuWorkers = resolved.reduce((sum, { device, workers }) => sum + (isCpu(device) ? workers : 0), 0);
  const ways = stages.map((stage, j): Way[] => {
    const { engine, provider, threads, workers, device } = resolved[j]!;
    const base = { device, engine, provider, memory: stage.memory, turns: stage.turns };
    if (open(stage)) return cpuWays(base, cores, stages.filter(open).length);
    if (!isCpu(device) && stage.workers === undefined) return cardWays(base, threads);
    const atOnce = isCpu(device) ? Math.max(1, Math.min(cpuWorkers, Math.floor(cores / threads))) : workers;
    return [{ ...base, threads, workers, staffing: { device, engine, provider, threads, atOnce } }];
  });
  const sections = sectionsOf(stages);
  const names = sections.map(({ stages: own }) => own.map((j) => stages[j]!.device).join(' + '));
  return [{ name: nameOf(names), stages: sections.map(({ stages: own }) => crews(own.map((j) => ways[j]!))) }];
}

/** The forms that are tried when nothing is asked: every device alone and together, one stage or several, few workers or many. */
export function openForms(graph: ModelGraph, cards: readonly string[], cores: number): Form[] {
  const base = (device: string) => {
    const { engine, provider } = resolveStages(graph, [{ device }])[0]!;
    return { device, engine, provider, memory: undefined };
  };
  const forms: Form[] = cpuWays(base('cpu'), cores, 1).map((way) => ({
    name: `1 stage: cpu, ${way.workers} x ${counted(way.threads, 'thread')}`,
    stages: [[way]],
  }));
  for (let n = 2; n <= Math.min(MOST_CPU_STAGES, cores, graph.layers.length); n++) {
    const devices = new Array<string>(n).fill('cpu');
    forms.push({ name: nameOf(devices), stages: devices.map((device) => cpuWays(base(device), cores, n)) });
  }
  for (const device of cards) {
    for (const way of cardWays(base(device))) {
      const crew = way.workers > 1 ? `, ${counted(way.workers, 'worker')}` : '';
      forms.push({ name: `${nameOf([device])}${crew}`, stages: [[way]] });
    }
  }
  const spare = Math.max(1, cores - cards.length);
  if (cards.length > 0 && graph.layers.length > 1) {
    const all = cards.map((device) => cardWays(base(device)));
    const beside = cpuWays(base('cpu'), spare, 1);
    forms.push({ name: nameOf([...cards, 'cpu']), stages: [...all, beside] });
    forms.push({ name: nameOf(['cpu', ...cards]), stages: [beside, ...all] });
    if (cards.length > 1) forms.push({ name: nameOf(cards), stages: all });
  }
  if (cards.length > 0) {
    const all = [...cards.map((device) => cardWays(base(device))), cpuWays(base('cpu'), spare, 1)];
    forms.push({ name: nameOf([[...cards, 'cpu'].join(' + ')]), stages: [crews(all)] });
  }
  return forms;
}

/** Every different thing to measure for these forms, at least one; that with most workers at once first, what is optional last. */
export function staffingsOf(forms: readonly Form[]): [WantedStaffing, ...WantedStaffing[]] {
  const wanted = new Map<string, WantedStaffing>();
  for (const { stages } of forms) {
    for (const { staffing, optional = false } of stages.flat().flatMap(crewOf)) {
      const key = staffingKey(staffing);
      const wholeOnly = stages.length === 1 && (wanted.get(key)?.wholeOnly ?? true);
      wanted.set(key, { ...staffing, wholeOnly, optional: optional && (wanted.get(key)?.optional ?? true) });
    }
  }
  const order = (a: WantedStaffing, b: WantedStaffing) =>
    Number(a.optional) - Number(b.optional) || b.atOnce - a.atOnce;
  return [...wanted.values()].sort(order) as [WantedStaffing, ...WantedStaffing[]];
}

/** The forms without the ways that could not be measured, and those of which nothing is left then. */
export function measuredForms(
  forms: readonly Form[],
  missing: ReadonlyMap<string, TandemError>,
): { forms: Form[]; absent: Rival[] } {
  const isLost = ({ staffing }: Way) => missing.has(staffingKey(staffing));
  const left: Form[] = [];
  const absent: Rival[] = [];
  for (const { name, stages } of forms) {
    const there = stages.map((ways) => ways.filter((way) => !crewOf(way).some(isLost)));
    const lost = stages
      .find((_, j) => there[j]!.length === 0)
      ?.flatMap(crewOf)
      .find(isLost);
    if (!lost) left.push({ name, stages: there });
    else absent.push({ name, rowsPerSecond: null, why: missing.get(staffingKey(lost.staffing))!.message });
  }
  return { forms: left, absent };
}

/** Cores that a way keeps busy: a card's stage leaves the cores to others. */
export function coresOf(way: Way): number {
  return sum(crewOf(way).map(({ device, threads, workers }) => (isCpu(device) ? threads * workers : 0)));
}

/** Every choice of one way for each that stands beside the others. */
function crews(ways: readonly (readonly Way[])[]): Way[] {
  const [first = [], ...others] = ways;
  if (others.length === 0) return [...first];
  return crews(others).flatMap((rest) => first.map((way) => ({ ...way, beside: crewOf(rest).map(alone) })));
}

function alone({ beside: _, ...way }: Way): Way {
  return way;
}

/** Engines with process-wide thread counts cannot give each stage its own in one process. */
export function sharesThreads(isolation: Isolation, ways: readonly Way[]): boolean {
  return isolation === 'process' || new Set(ways.map(({ threads }) => threads)).size === 1;
}

type Base = Omit<Way, 'threads' | 'workers' | 'staffing'>;

/** All ways to give a stage on the CPU its workers and threads, when `stages` of them share the cores. */
function cpuWays(base: Base, cores: number, stages: number): Way[] {
  const { device, engine, provider } = base;
  const most = Math.max(1, Math.floor(cores / stages));
  const counts = [...new Set([...powersOfTwo(most), most])];
  return counts.flatMap((threads) => {
    const atOnce = Math.max(1, Math.floor(cores / threads));
    const staffing = { device, engine, provider, threads, atOnce };
    const workers = stages === 1 ? [atOnce] : Array.from({ length: atOnce - stages + 1 }, (_, n) => n + 1);
    return workers.map((count) => ({ ...base, threads, workers: Math.max(1, count), staffing }));
  });
}

/** One worker, and two where a process can have two: each holds the slice on the card. */
function cardWays(base: Base, threads = 1): Way[] {
  const { device, engine, provider } = base;
  const most = ENGINES[engine].onePerProcess.includes(provider) ? 1 : MOST_CARD_WORKERS;
  return Array.from({ length: most }, (_, n) => {
    const staffing = { device, engine, provider, threads, atOnce: n + 1 };
    return { ...base, threads, workers: n + 1, staffing, optional: n > 0 };
  });
}

function powersOfTwo(most: number): number[] {
  return Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, n) => 2 ** n);
}

function nameOf(devices: readonly string[]): string {
  return `${counted(devices.length, 'stage')}: ${devices.join(', ')}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
