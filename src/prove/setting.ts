/** What all claims are tried with: the command, the models, the card and its providers, and what earlier claims have measured. */
import type { Card } from '../machine/cards/card.js';
import type { Comparison } from '../report/record.js';
import type { Command } from './command.js';
import type { Subjects } from './subjects.js';

/** A provider of ONNX Runtime that computes on the adapter. */
export interface CardProvider {
  readonly name: string;
  /** The adapter by its driver's name. */
  readonly deviceName: string;
  /** Whether a process can have only one worker with it. */
  readonly onePerProcess: boolean;
}

export interface Setting {
  readonly command: Command;
  readonly subjects: Subjects;
  /** `gpu`, `gpu:1`. */
  readonly device: string;
  /** As its driver reports it; `null` for a software adapter. */
  readonly card: Card | null;
  /** Not empty; the first is what most claims are tried with. */
  readonly providers: readonly [CardProvider, ...CardProvider[]];
  readonly measured: Measured;
  /** Seconds that the sustained run may take. */
  readonly sustainedSeconds: number;
}

export interface Measured {
  /** Of BERT on the card alone, by provider. */
  readonly rowsPerSecond: Map<string, number>;
  /** Bytes that BERT held on the card, by provider. */
  readonly heldBytes: Map<string, number>;
  /** Bars for the page. */
  readonly comparisons: Comparison[];
}

/** `gpu,provider=cuda`. */
export function stageOn({ device, providers }: Setting, provider = providers[0].name): string {
  return `${device},provider=${provider}`;
}

/** Rows that take about `seconds` on the card, a multiple of the micro-batch. */
export function rowsFor({ measured, providers }: Setting, seconds: number, most: number): number {
  const rate = measured.rowsPerSecond.get(providers[0].name) ?? 8;
  return 8 * Math.max(8, Math.min(Math.round((rate * seconds) / 8), most / 8));
}

/** Every run has micro-batches of the same size, so that answers can be compared. */
export const MICRO_BATCH = ['--micro-batch', '8'] as const;
