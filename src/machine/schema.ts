/** The schema of the machine facts in results. It contains nothing that identifies the owner. */
import { z } from 'zod';

const NAME = z.string().max(1000);

export const MACHINE = z.object({
  cpu: NAME,
  /** Cores that the run could use. */
  cores: z.number().int().min(0),
  /** Memory of the machine, or the limit of its control group. */
  memoryBytes: z.number().min(0),
  /** `Linux 6.1.0, x64`. */
  system: NAME,
  node: NAME,
  /** Names of the graphics cards, from their driver. */
  cards: z.array(NAME).max(64),
});

export type MachineFacts = Readonly<z.infer<typeof MACHINE>>;
