/** The link between a pipeline's processes: the shared file of the arena, and the coordinator's notify socket. */
import { asTandemError, type TandemError } from '../errors.js';
import type { ArenaHandle } from './memory.js';
import { NotifySocket } from './notify-socket.js';
import { clearSharedFile, closeSharedFile, openSharedFile } from './shared-file.js';

export class ProcessLink {
  readonly file: number;
  /** The reason, if the system gives none: processes can then compute but not share an arena. */
  readonly #notifySocket: NotifySocket | TandemError;

  /** Throws TANDEM_OUT_OF_MEMORY. */
  constructor() {
    this.file = openSharedFile();
    this.#notifySocket = notifySocketOrReason();
  }

  /** The file descriptor by which other processes notify the coordinator; `null` if there is no socket. */
  get outside(): number | null {
    return this.#notifySocket instanceof NotifySocket ? this.#notifySocket.outside : null;
  }

  /** Makes the file `bytes` bytes of zeros, and returns how the coordinator opens it. Throws TANDEM_ENGINE_MISSING, TANDEM_OUT_OF_MEMORY. */
  clear(bytes: number): ArenaHandle {
    if (!(this.#notifySocket instanceof NotifySocket)) throw this.#notifySocket;
    clearSharedFile(this.file, bytes);
    return { file: this.file, notifySocket: this.#notifySocket };
  }

  close(): void {
    if (this.#notifySocket instanceof NotifySocket) this.#notifySocket.close();
    closeSharedFile(this.file);
  }
}

function notifySocketOrReason(): NotifySocket | TandemError {
  try {
    return new NotifySocket();
  } catch (error) {
    return asTandemError(error);
  }
}
