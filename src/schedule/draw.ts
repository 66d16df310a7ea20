/** Draws a generated schedule as a grid: one line for each worker, one column for each step of the clock; `·` is a bubble. */
import type { ComputeVisit, LoadVisit, Schedule } from './schedule.js';

const BUBBLE = '·';

/**
 * A cell is a micro-batch: `3`; `3.1` in pass 1 of a stage with several passes; `3:1` in round 1 of several. `+1` loads pass 1, `-1` unloads
 * it. `nameOf` names a pool.
 */
export function drawSchedule(schedule: Schedule, nameOf = (pool: number) => `stage ${pool}`): string {
  const end = Math.max(0, ...schedule.map(({ to }) => to));
  const hasPasses = new Set(schedule.filter(({ pass }) => pass > 0).map(({ stage }) => stage));
  const hasRounds = schedule.some((visit) => visit.kind === 'compute' && visit.round > 0);
  const cellOf = (visit: ComputeVisit | LoadVisit) => {
    if (visit.kind !== 'compute') return `${visit.kind === 'load' ? '+' : '-'}${visit.pass}`;
    const pass = hasPasses.has(visit.stage) ? `.${visit.pass}` : '';
    return `${visit.microBatch}${pass}${hasRounds ? `:${visit.round}` : ''}`;
  };
  const workers = new Map<number, number>();
  for (const { pool, worker } of schedule) workers.set(pool, Math.max(workers.get(pool) ?? 0, worker + 1));
  const lanes = [...workers]
    .sort(([a], [b]) => a - b)
    .flatMap(([pool, count]) =>
      Array.from({ length: count }, (_, worker) => {
        const cells = new Array<string>(end).fill(BUBBLE);
        for (const visit of schedule) {
          if (visit.pool === pool && visit.worker === worker) cells.fill(cellOf(visit), visit.from, visit.to);
        }
        return { name: count > 1 ? `${nameOf(pool)}, worker ${worker}` : nameOf(pool), cells };
      }),
    );
  const margin = Math.max(0, ...lanes.map(({ name }) => name.length));
  const width = Math.max(1, ...lanes.flatMap(({ cells }) => cells.map((cell) => cell.length)));
  return lanes
    .map(({ name, cells }) => `${name.padEnd(margin)}  ${cells.map((cell) => cell.padStart(width)).join(' ')}`)
    .join('\n');
}
