/** The machine's name for measurements: machines with the same processor, cores and cards measure the same. */

import { cardNames } from './cards/cards.js';
import { readCores } from './machine.js';
import { processorName } from './processor.js';

/** Also readable by people: `AMD EPYC 7763, 8 cores, x64`. */
export function machineName(): string {
  const cores = readCores();
  return [processorName(), cores === 1 ? '1 core' : `${cores} cores`, process.arch, ...cardNames()].join(', ');
}
