/** One WAV file as windows of samples, in order; read in blocks, so that a window costs no read of its own. */
import { allFinite } from '../finite.js';
import { RowFault } from '../row-fault.js';
import { WavFile } from './wav.js';
import { type WindowSettings, windowsOf } from './window-flag.js';

/** Samples that are read at once, at least. */
const BLOCK = 1 << 14;

export interface WavStreamOptions {
  readonly settings: WindowSettings;
  /** Samples in a second that the model takes. */
  readonly rate: number;
  readonly allowNonFinite: boolean;
}

export class WavStream {
  /** All windows of the file. */
  readonly windows: number;
  readonly #file: WavFile;
  readonly #options: WavStreamOptions;
  readonly #block: Float32Array;
  /** Position in the file of the first sample of `#block`; `null` before the first read. */
  #blockAt: number | null = null;

  private constructor(file: WavFile, options: WavStreamOptions) {
    this.#file = file;
    this.#options = options;
    this.windows = windowsOf(file.samples, options.settings);
    this.#block = new Float32Array(Math.max(BLOCK, options.settings.length));
  }

  /** Throws RowFault for a file that is no such sound. */
  static async open(path: string, options: WavStreamOptions): Promise<WavStream> {
    const file = await WavFile.open(path);
    if (file.rate === options.rate && file.samples > 0) return new WavStream(file, options);
    await file.close();
    if (file.samples === 0) throw new RowFault('TANDEM_ROW_INVALID', 'it has no samples');
    throw new RowFault(
      'TANDEM_ROW_INVALID',
      `it has ${file.rate} samples in a second, and the model takes ${options.rate}: convert it: ffmpeg -i IN -ac 1 -ar ${options.rate} OUT.wav`,
    );
  }

  /** The samples of a window; a view that is valid until the next call. Throws RowFault for samples that are not finite, and as `WavFile.read`. */
  async window(n: number): Promise<Float32Array> {
    const { length, hop, lead } = this.#options.settings;
    const from = n * hop - lead;
    const held = this.#blockAt !== null && from >= this.#blockAt && from + length <= this.#blockAt + this.#block.length;
    if (!held) {
      await this.#file.read(from, this.#block);
      this.#blockAt = from;
      if (!this.#options.allowNonFinite && !allFinite('float32', this.#block)) {
        throw new RowFault('TANDEM_ROW_NOT_FINITE', 'it has samples that are NaN or infinite');
      }
    }
    const at = from - this.#blockAt!;
    return this.#block.subarray(at, at + length);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
