/** What a report says of the machine: enough to judge its figures, and nothing that names its owner. */
import { cpus, release, type } from 'node:os';
import { readMachine } from '../plan/machine.js';
import type { MachineFacts } from './record.js';

/** `cards` are named by whoever asked their driver. */
export function machineFacts(cards: readonly string[] = []): MachineFacts {
  const { cores, memory } = readMachine();
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores,
    memoryBytes: memory.total,
    system: `${type()} ${release()}, ${process.arch}`,
    node: process.versions.node,
    cards,
  };
}
