/** What tells machines apart for measurements: the same processor with the same cores and cards measures the same. */
import { processorName } from '../processor.js';
import { readMachine } from './machine.js';
import { readNvidiaDriver } from './nvidia.js';

/** For people too: `AMD EPYC 7763, 8 cores, x64`. */
export function machineName(): string {
  const { cores } = readMachine();
  const cards = readNvidiaDriver()?.cards.map(({ name }) => name) ?? [];
  return [processorName(), cores === 1 ? '1 core' : `${cores} cores`, process.arch, ...cards].join(', ');
}
