/** The facts about the machine that a report and a bench record, so that their figures can be judged. */
import { release, type } from 'node:os';
import { readMachine } from './machine.js';
import { processorName } from './processor.js';
import type { MachineFacts } from './schema.js';

/** `cards` are the names from the driver. */
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
