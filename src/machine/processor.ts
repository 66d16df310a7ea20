/** The name of the processor. */
import { cpus } from 'node:os';

/** The system's name, such as `AMD EPYC 7763`; the architecture if the system reports none. */
export function processorName(): string {
  return cpus()[0]?.model.trim() || process.arch;
}
