/** The joint of a pipeline's processes: the file in which they meet, and the doorbell of the coordinator, whose process makes it. */
import { asTandemError, type TandemError } from '../errors.js';
import { Doorbell } from './doorbell.js';
import type { Place } from './memory.js';
import { clearSharedFile, closeSharedFile, openSharedFile } from './shared-file.js';

export class Joint {
  readonly file: number;
  /** Where none can be had, processes can compute and not share. */
  readonly #doorbell: Doorbell | TandemError;

  /** Throws TANDEM_OUT_OF_MEMORY. */
  constructor() {
    this.file = openSharedFile();
    this.#doorbell = doorbellOrWhy();
  }

  /** The file by which others ring; `null` where nobody can. */
  get outside(): number | null {
    return this.#doorbell instanceof Doorbell ? this.#doorbell.outside : null;
  }

  /** The coordinator's place beside `bytes` of zeros. Throws TANDEM_ENGINE_MISSING, TANDEM_OUT_OF_MEMORY. */
  clear(bytes: number): Place {
    if (!(this.#doorbell instanceof Doorbell)) throw this.#doorbell;
    clearSharedFile(this.file, bytes);
    return { file: this.file, doorbell: this.#doorbell };
  }

  close(): void {
    if (this.#doorbell instanceof Doorbell) this.#doorbell.close();
    closeSharedFile(this.file);
  }
}

function doorbellOrWhy(): Doorbell | TandemError {
  try {
    return new Doorbell();
  } catch (error) {
    return asTandemError(error);
  }
}
