/** The schedule of continuous batching on paper, when each visit takes a stage one step of a clock: generated, and drawn as a grid. */
import { type BatchShape, type BatchVisit, ContinuousBatch } from './continuous-batch.js';

/** A sequence on paper. */
export interface PaperSequence {
  readonly prompt: number;
  readonly newTokens: number;
}

/** A visit in one stage, at one step of the clock. */
export interface PaperVisit extends BatchVisit {
  readonly stage: number;
  readonly at: number;
}

/** All visits, by the time at which they begin. Sequences are admitted in their order. */
export function* generateBatch(
  shape: BatchShape,
  stages: number,
  sequences: readonly PaperSequence[],
): Generator<PaperVisit> {
  const batch = new ContinuousBatch(shape);
  const left = new Map<number, number>();
  /** By stage: visits that wait for it, first in first out. */
  const queues: BatchVisit[][] = Array.from({ length: stages }, () => []);
  let admitted = 0;
  for (let at = 0; admitted < sequences.length || batch.busy > 0; at++) {
    for (let slot: number | null = 0; slot !== null && admitted < sequences.length; ) {
      const { prompt, newTokens } = sequences[admitted]!;
      slot = batch.admit(prompt);
      if (slot === null) break;
      left.set(slot, newTokens);
      admitted += 1;
    }
    for (let visit = batch.next(); visit; visit = batch.next()) queues[0]!.push(visit);
    const begun = queues.map((queue) => queue.shift());
    for (const [stage, visit] of begun.entries()) {
      if (!visit) continue;
      yield { ...visit, stage, at };
      if (stage + 1 < stages) queues[stage + 1]!.push(visit);
      else comeOut(batch, visit, left);
    }
  }
}

function comeOut(batch: ContinuousBatch, visit: BatchVisit, left: Map<number, number>): void {
  batch.finish(visit);
  for (const [row, chooses] of visit.chooses.entries()) {
    const slot = visit.firstSlot + row;
    if (!chooses) continue;
    const more = left.get(slot)! - 1;
    left.set(slot, more);
    if (more === 0) batch.end(slot);
    else batch.extend(slot);
  }
}

/** One line for each stage: `B` is a step of the second group, `b4` a chunk of the prompt in slot 4 of it, `·` a bubble. */
export function drawBatch(visits: Iterable<PaperVisit>): string {
  const all = [...visits];
  const end = Math.max(0, ...all.map(({ at }) => at + 1));
  const stages = Math.max(0, ...all.map(({ stage }) => stage + 1));
  const rows = Array.from({ length: stages }, () => new Array<string>(end).fill('·'));
  for (const { kind, group, stage, at, firstSlot } of all) {
    const letter = String.fromCharCode(65 + (group % 26));
    rows[stage]![at] = kind === 'decode' ? letter : `${letter.toLowerCase()}${firstSlot}`;
  }
  const width = Math.max(1, ...rows.flat().map((cell) => cell.length));
  return rows.map((cells, n) => `stage ${n}  ${cells.map((cell) => cell.padStart(width)).join(' ')}`).join('\n');
}
