/** The rules of every schedule, generated or recorded from a run. */
import { NO_GROUP, poolAt } from '../arena/route.js';
import {
  type ComputeVisit,
  heldFromStart,
  type LoadVisit,
  movingPasses,
  roomOf,
  type Schedule,
  type ScheduleShape,
} from './schedule.js';

type Rule = (schedule: Schedule, shape: ScheduleShape, m: number) => Generator<string>;

/** One sentence for each violation of a rule; none if `schedule` computes m micro-batches correctly. */
export function problemsOf(schedule: Schedule, shape: ScheduleShape, m: number): string[] {
  return RULES.flatMap((rule) => [...rule(schedule, shape, m)]);
}

const RULES: readonly Rule[] = [
  everyStepInOrder,
  oneVisitAtATime,
  loadedWhenVisited,
  ownSlots,
  depthIsKept,
  sameAssignment,
];

const isCompute = (visit: ComputeVisit | LoadVisit): visit is ComputeVisit => visit.kind === 'compute';

function groupBy<K, V>(values: Iterable<V>, keyOf: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group) group.push(value);
    else groups.set(key, [value]);
  }
  return groups;
}

const inTime = <V extends { from: number; to: number }>(visits: readonly V[]): V[] =>
  visits.toSorted((a, b) => a.from - b.from || a.to - b.to);

const nameOf = ({ kind, pool, worker, from }: ComputeVisit | LoadVisit) =>
  `${kind} by worker ${worker} of pool ${pool} at ${from}`;

/** Each micro-batch visits all passes of all stages once in each round, in sequence. */
function* everyStepInOrder(schedule: Schedule, { steps, rounds = 1 }: ScheduleShape, m: number): Generator<string> {
  const byMicroBatch = groupBy(schedule.filter(isCompute), ({ microBatch }) => microBatch);
  for (const i of byMicroBatch.keys()) if (i < 0 || i >= m) yield `there is no micro-batch ${i}`;
  for (let i = 0; i < m; i++) {
    const visits = inTime(byMicroBatch.get(i) ?? []);
    const expected = Array.from({ length: rounds }, (_, round) =>
      steps.map(({ stage, pass }) => `${round}/${stage}/${pass}`),
    ).flat();
    const found = visits.map(({ round, stage, pass }) => `${round}/${stage}/${pass}`);
    if (found.join() !== expected.join())
      yield `micro-batch ${i} visits ${found.join(' ')} instead of ${expected.join(' ')}`;
    for (const [n, visit] of visits.entries()) {
      if (n > 0 && visit.from < visits[n - 1]!.to) yield `${nameOf(visit)}: micro-batch ${i} is still being computed`;
    }
  }
}

function* oneVisitAtATime(schedule: Schedule, { workers }: ScheduleShape): Generator<string> {
  for (const visits of groupBy(schedule, ({ pool, worker }) => `${pool}/${worker}`).values()) {
    let before = Number.NEGATIVE_INFINITY;
    for (const visit of inTime(visits)) {
      if (visit.from < before) yield `${nameOf(visit)}: its previous visit has not ended`;
      if (visit.worker >= (workers[visit.pool] ?? 0)) yield `${nameOf(visit)}: there is no such worker`;
      before = visit.to;
    }
  }
}

/** A worker has loaded what it computes, and never holds more passes than it can. */
function* loadedWhenVisited(schedule: Schedule, shape: ScheduleShape): Generator<string> {
  const { steps } = shape;
  for (const visits of groupBy(schedule, ({ pool, worker }) => `${pool}/${worker}`).values()) {
    const { pool } = visits[0]!;
    const loaded = new Set(heldFromStart(shape, pool));
    const moving = movingPasses(shape, pool);
    const room = roomOf(shape, pool);
    for (const visit of inTime(visits)) {
      const slice = steps.find(({ stage, pass }) => stage === visit.stage && pass === visit.pass)?.slice ?? '';
      if (visit.kind === 'load' ? loaded.has(slice) : !loaded.has(slice)) {
        yield `${nameOf(visit)}: pass ${visit.pass} of stage ${visit.stage} is ${visit.kind === 'load' ? 'already loaded' : 'not loaded'}`;
      }
      if (visit.kind === 'load') loaded.add(slice);
      if (visit.kind === 'unload') loaded.delete(slice);
      const held = moving.filter((each) => loaded.has(each)).length;
      if (held > room) yield `${nameOf(visit)}: it holds ${held} passes and has room for ${room}`;
    }
  }
}

/** From its first visit to its last a micro-batch has one slot, and no other micro-batch uses it meanwhile. */
function* ownSlots(schedule: Schedule, { depth }: ScheduleShape): Generator<string> {
  const lives = [...groupBy(schedule.filter(isCompute), ({ microBatch }) => microBatch)].map(
    ([microBatch, visits]) => ({
      microBatch,
      slots: [...new Set(visits.map(({ slot }) => slot))],
      from: Math.min(...visits.map(({ from }) => from)),
      to: Math.max(...visits.map(({ to }) => to)),
    }),
  );
  for (const { microBatch, slots } of lives) {
    if (slots.length > 1) yield `micro-batch ${microBatch} is in slots ${slots.join(' and ')}`;
    if (slots.some((slot) => slot < 0 || slot >= depth))
      yield `micro-batch ${microBatch} is in slot ${slots.join()} of ${depth}`;
  }
  for (const own of groupBy(lives, ({ slots }) => slots[0]).values()) {
    const ordered = inTime(own);
    for (const [n, { microBatch, slots, from }] of ordered.entries()) {
      const before = ordered[n - 1];
      if (before && from < before.to)
        yield `micro-batches ${before.microBatch} and ${microBatch} are in slot ${slots[0]} at once`;
    }
  }
}

/** The output keeps the input's order, so micro-batch i begins only after all up to i - depth have ended. */
function* depthIsKept(schedule: Schedule, { depth }: ScheduleShape, m: number): Generator<string> {
  const byMicroBatch = groupBy(schedule.filter(isCompute), ({ microBatch }) => microBatch);
  let ended = Number.NEGATIVE_INFINITY;
  for (let i = depth; i < m; i++) {
    ended = Math.max(ended, ...(byMicroBatch.get(i - depth) ?? []).map(({ to }) => to));
    const begins = Math.min(...(byMicroBatch.get(i) ?? []).map(({ from }) => from));
    if (begins < ended) yield `micro-batch ${i} begins at ${begins}, while ${depth} others are in flight`;
  }
}

/** Every visit is made by the pool that the route names. If a stage keeps state, a group always goes to the same worker. */
function* sameAssignment(schedule: Schedule, { steps, groupOf }: ScheduleShape): Generator<string> {
  const met = new Map<string, string>();
  for (const visit of schedule.filter(isCompute)) {
    const step = steps.find(({ stage, pass }) => stage === visit.stage && pass === visit.pass);
    if (!step) continue;
    const group = groupOf?.(visit.microBatch) ?? NO_GROUP;
    const pool = poolAt(step, visit.microBatch, group);
    if (visit.pool !== pool) yield `${nameOf(visit)}: micro-batch ${visit.microBatch} is for pool ${pool}`;
    if (!step.keepsState || group === NO_GROUP) continue;
    const key = `${visit.stage}/${group}`;
    const worker = `${visit.pool}/${visit.worker}`;
    const before = met.get(key) ?? worker;
    met.set(key, before);
    if (before !== worker) yield `${nameOf(visit)}: group ${group} has its state in another worker`;
  }
}
