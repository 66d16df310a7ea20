/** What tells machines apart for measurements: the same processor with the same cores and cards measures the same. */
import { cpus } from 'node:os';
import { readMachine } from './machine.js';
import { readNvidiaDriver } from './nvidia.js';

/** For people too: `AMD EPYC 7763, 8 cores, x64`. */
export function machineName(): string {
  const processor = cpus()[0]?.model.trim() || 'unknown processor';
  const { cores } = readMachine();
  const cards = readNvidiaDriver()?.cards.map(({ name }) => name) ?? [];
  return [processor, cores === 1 ? '1 core' : `${cores} cores`, process.arch, ...cards].join(', ');
}
