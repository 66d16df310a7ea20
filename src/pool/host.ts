/** A stage's process as its pool sees it: what it owes, and what is said when it has died. */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { TandemError } from '../errors.js';
import type { Frames } from './frames.js';

export type Waiting = { resolve: (answer: unknown) => void; reject: (error: unknown) => void };

export interface Host {
  readonly child: ChildProcess;
  readonly socket: Socket;
  readonly frames: Frames;
  readonly waiting: Map<number, Waiting>;
  /** By the number of each slot that it has: since when, on the clock of `performance.now()`; the longest first. */
  readonly slots: Map<number, number>;
  /** When it was last heard of, on the same clock. */
  heardAt: number;
  /** Whether it keeps this process alive, as it does while it owes an answer or a slot, or its end. */
  held: boolean;
  /** Calls off the watch over its slots. */
  callOff: (() => void) | undefined;
}

export function died(how: string): TandemError {
  return new TandemError('TANDEM_STAGE_DIED', `a stage's process ${how}`);
}

export function epitaph(code: number | null, signal: string | null): string {
  if (signal === 'SIGKILL') return 'was killed (SIGKILL): by somebody, or by the system because memory ran out';
  return signal ? `died of ${signal}` : `exited with status ${code}`;
}
