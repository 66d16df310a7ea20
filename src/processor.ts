/** The processor, as people know it. */
import { cpus } from 'node:os';

/** As the system calls it, `AMD EPYC 7763`; its architecture where the system does not tell. */
export function processorName(): string {
  return cpus()[0]?.model.trim() || process.arch;
}
