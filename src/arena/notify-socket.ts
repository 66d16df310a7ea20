/** The notify socket: a socket pair by which other processes wake the coordinator's event loop. */
import { closeSync, writeSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { TandemError } from '../errors.js';
import { cLibrary, IS_LINUX } from './c-library.js';

// POSIX, <sys/socket.h>; Linux takes flags with the type: SOCK_NONBLOCK | SOCK_CLOEXEC.
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const ALONE = IS_LINUX ? 0o4000 | 0o2000000 : 0;

/** Bytes that are read at once. */
const BUFFER_BYTES = 64;

export class NotifySocket {
  /** The file descriptor to which other processes write. */
  readonly outside: number;
  readonly #inside: Socket;
  #onNotify: (() => void) | undefined;

  /** Throws TANDEM_ENGINE_MISSING if the C library cannot be called, and TANDEM_OUT_OF_MEMORY if no socket is left. */
  constructor() {
    const pair: [number, number] = [-1, -1];
    if (cLibrary().socketpair(AF_UNIX, SOCK_STREAM | ALONE, 0, pair) !== 0) {
      throw new TandemError('TANDEM_OUT_OF_MEMORY', `the system gives no sockets: error ${cLibrary().error()}`, {
        remedy: 'let this process open more files (ulimit -n), or run with --isolation thread',
      });
    }
    this.outside = pair[1];
    // `onread` reuses one buffer. A stream allocates one for each read, and a wake-up then costs 247 us of processor time instead of 124 (bench/ring).
    const onread = { buffer: Buffer.alloc(BUFFER_BYTES), callback: () => this.#received() };
    const options: SocketConstructorOpts & { onread: OnReadOpts } = { fd: pair[0], writable: false, onread };
    this.#inside = new Socket(options).unref();
    this.#inside.on('error', () => {});
  }

  /** Resolves at the next notification. Only the newest call resolves. Does not keep the process alive. */
  notified(): Promise<void> {
    return new Promise((resolve) => {
      this.#onNotify = resolve;
    });
  }

  close(): void {
    this.#inside.destroy();
    closeSync(this.outside);
  }

  #received(): true {
    this.#onNotify?.();
    this.#onNotify = undefined;
    return true;
  }
}

const ONE_BYTE = new Uint8Array(1);

/** Wakes the process that holds the other end of `outside`. */
export function notify(outside: number): void {
  try {
    writeSync(outside, ONE_BYTE);
  } catch (error) {
    // The socket is full of notifications that are not read yet: one more would change nothing.
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
}
