/** The form in which what a figure was measured on is written down: nothing in it names the owner. */
import { z } from 'zod';

const NAME = z.string().max(1000);

export const MACHINE = z.object({
  cpu: NAME,
  /** Cores that the run could keep busy. */
  cores: z.number().int().min(0),
  /** Of the machine, or of the control group that limits it. */
  memoryBytes: z.number().min(0),
  /** `Linux 6.1.0, x64`. */
  system: NAME,
  node: NAME,
  /** Graphics cards, as their driver names them. */
  cards: z.array(NAME).max(64),
});

export type MachineFacts = Readonly<z.infer<typeof MACHINE>>;
