/** The doorbell: a pair of sockets by which other processes wake the coordinator, which sleeps in its event loop. */
import { closeSync, writeSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { TandemError } from '../errors.js';
import { cLibrary, IS_LINUX } from './c-library.js';

// POSIX, <sys/socket.h>; Linux takes flags with the type: SOCK_NONBLOCK | SOCK_CLOEXEC.
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const ALONE = IS_LINUX ? 0o4000 | 0o2000000 : 0;

/** What rings lie in until they are heard. */
const ROOM = 64;

export class Doorbell {
  /** The file by which others ring. */
  readonly outside: number;
  readonly #inside: Socket;
  #tell: (() => void) | undefined;

  /** Throws TANDEM_ENGINE_MISSING where there are no such pairs, and TANDEM_OUT_OF_MEMORY. */
  constructor() {
    const pair: [number, number] = [-1, -1];
    if (cLibrary().socketpair(AF_UNIX, SOCK_STREAM | ALONE, 0, pair) !== 0) {
      throw new TandemError('TANDEM_OUT_OF_MEMORY', `no sockets can be had: error ${cLibrary().error()}`, {
        remedy: 'let this process open more files (ulimit -n), or run with --isolation thread',
      });
    }
    this.outside = pair[1];
    // Through a stream, which makes a new buffer for each byte, a ring costs the sleeper 247 us of processor time instead of 124 (bench/ring).
    const onread = { buffer: Buffer.alloc(ROOM), callback: () => this.#hear() };
    const options: SocketConstructorOpts & { onread: OnReadOpts } = { fd: pair[0], writable: false, onread };
    this.#inside = new Socket(options).unref();
    this.#inside.on('error', () => {});
  }

  /** Settles at the next ring. Only the newest who asks is told. Keeps no process alive. */
  rung(): Promise<void> {
    return new Promise((resolve) => {
      this.#tell = resolve;
    });
  }

  close(): void {
    this.#inside.destroy();
    closeSync(this.outside);
  }

  #hear(): true {
    this.#tell?.();
    this.#tell = undefined;
    return true;
  }
}

const RING = new Uint8Array(1);

/** Rings at the other end of `outside`. */
export function ring(outside: number): void {
  try {
    writeSync(outside, RING);
  } catch (error) {
    // So much lies there unheard already.
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
}
