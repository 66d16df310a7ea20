/** What a report and a bench say of the machine: enough to judge their figures. */
import { release, type } from 'node:os';
import { processorName } from '../processor.js';
import { readMachine } from './machine.js';
import type { MachineFacts } from './machine-schema.js';

/** `cards` are named by whoever asked their driver. */
export function machineFacts(cards: readonly string[] = []): MachineFacts {
  const { cores, memory } = readMachine();
  return {
    cpu: processorName(),
    cores,
    memoryBytes: memory.total,
    system: `${type()} ${release()}, ${process.arch}`,
    node: process.versions.node,
    cards: [...cards],
  };
}
