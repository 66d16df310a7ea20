/** The budget: bytes that stages may hold, and what is said when nothing fits. */
import { parseDevice } from '../engine/registry.js';
import { TandemError } from '../errors.js';
import { readMachine } from './machine.js';
import type { Need } from './need.js';
import { readNvidiaDriver } from './nvidia.js';

/** Memory that is left to others: the coordinator, the system, what grows while a job runs. */
const MARGIN = { share: 0.05, atLeast: 256 * 2 ** 20 };

/** Free memory less the margin: of the machine, or of its control group where that is tighter; of a card as its driver tells. */
export function freeBudget(device: string): number {
  const { kind, index } = parseDevice(device);
  const free =
    kind === 'cpu' ? readMachine().memory.free : (readNvidiaDriver()?.cards[index]?.memory?.free ?? Infinity);
  return Math.max(0, free - Math.max(MARGIN.atLeast, MARGIN.share * (Number.isFinite(free) ? free : 0)));
}

/** `freeBudget`, asked once for each device, so that all plans of one search are held to the same. */
export function freeBudgets(): (device: string) => number {
  const known = new Map<string, number>();
  return (device) => {
    if (!known.has(device)) known.set(device, freeBudget(device));
    return known.get(device)!;
  };
}

/** As `memory=` takes it; rounded up, so that it is enough. */
export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)}MiB`;
}

/** TANDEM_PLAN_IMPOSSIBLE with the smallest budget that would do. */
export function noFit(what: string, { stage, bytes, given }: Need): TandemError {
  const where = stage !== null ? `stage ${stage}` : given === null ? 'all its stages together' : 'its largest stage';
  const enough = mebibytes(bytes);
  const limit = given === null ? `${mebibytes(freeBudget('cpu'))} is free` : `${mebibytes(given)} may be used`;
  const more = given === null ? 'free some memory' : `give ${stage === null ? 'each stage' : 'it'} memory=${enough}`;
  return new TandemError('TANDEM_PLAN_IMPOSSIBLE', `${what} needs ${enough} in ${where}; ${limit}`, {
    remedy: `${more}, or use more stages, a smaller --micro-batch or a smaller --depth`,
  });
}

/** Whether any of them is held to a budget of its own. */
export function hasBudget(stages: readonly { readonly memory?: number | undefined }[]): boolean {
  return stages.some(({ memory }) => memory !== undefined);
}
