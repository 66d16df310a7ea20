/**
 * Writes rows as safetensors: a tensor for each output, with rows as its first axis. The first tensor grows in the file itself; each other one
 * grows in a separate file of its bytes and is moved behind it at the end, when the header is written anew. If the disk fills up meanwhile, no
 * row is lost: a tensor that is not in the file is still in its own.
 */
import { TandemError } from '../../errors.js';
import { type ArraySpec, arrayOf } from '../../rows/npy/array-spec.js';
import { headerOf, METADATA, type WrittenTensor } from '../../rows/safetensors/header.js';
import { goodRows } from '../../rows/source.js';
import { byteCount, bytesPerElement } from '../../tensor.js';
import { ArrayRows } from '../array-rows.js';
import type { OutputFiles } from '../files.js';
import { noRows } from '../npy/npy-writer.js';
import type { PartialFile } from '../partial-file.js';
import { type Earlier, type RowsWriter, rowRangesOf, type WriterState } from '../rows-writer.js';
import type { RowsDone } from '../sink.js';

/** Bytes per read when a tensor is moved into the file. */
const CHUNK = 1 << 20;

interface Beside {
  readonly array: ArrayRows;
  readonly suffix: string;
  readonly file: PartialFile;
}

export class SafetensorsWriter implements RowsWriter {
  readonly #files: OutputFiles;
  readonly #out: PartialFile;
  /** Called after a tensor is moved and before its own file is removed. Settles when the move is durable. */
  readonly #keep: () => Promise<void>;
  /** In the order of the file. */
  #arrays: readonly ArraySpec[] = [];
  #first: ArrayRows | null = null;
  #beside: Beside[] = [];
  /** Tensors that are whole and in the file. */
  #moved = 0;
  #rows = 0;

  private constructor(files: OutputFiles, out: PartialFile, keep: () => Promise<void>) {
    this.#files = files;
    this.#out = out;
    this.#keep = keep;
  }

  /** `files` are in the state that `earlier` records. */
  static async open(
    files: OutputFiles,
    out: PartialFile,
    keep: () => Promise<void>,
    earlier?: Earlier,
  ): Promise<SafetensorsWriter> {
    const writer = new SafetensorsWriter(files, out, keep);
    writer.#rows = earlier?.rows ?? 0;
    writer.#moved = earlier?.state.moved ?? 0;
    if (earlier?.state.arrays) await writer.#begin(earlier.state.arrays);
    return writer;
  }

  async write(batch: RowsDone): Promise<void> {
    if (this.#first === null) await this.#begin(inOrder([...batch.outputs].map(([name, one]) => arrayOf(name, one))));
    const ranges = rowRangesOf(batch);
    for (const { array, file } of [{ array: this.#first!, file: this.#out }, ...this.#beside]) {
      await array.write(batch.outputs.get(array.spec.name)!, goodRows(batch), ranges, file);
    }
    this.#rows += batch.rows;
  }

  state(): WriterState {
    return { arrays: this.#arrays, ...(this.#moved > 0 && { moved: this.#moved }) };
  }

  /** Makes the file complete with its first tensor; the others are still in separate files. */
  async updateHeaders(): Promise<void> {
    if (this.#first !== null) await this.#writeHead(Math.max(1, this.#moved));
  }

  async finish(): Promise<void> {
    if (this.#first === null) throw noRows();
    this.#moved = Math.max(1, this.#moved);
    while (this.#beside.length > 0) await this.#move(this.#beside[0]!);
    await this.#writeHead(this.#arrays.length);
  }

  async dispose(): Promise<void> {
    for (const { file } of this.#beside) await file.close();
  }

  async #begin(arrays: readonly ArraySpec[]): Promise<void> {
    // A commit before the first row knows none.
    if (arrays.length === 0) return;
    const reserved = arrays.find(({ name }) => name === METADATA);
    if (reserved) throw reservedName(reserved.name);
    for (const [n, spec] of arrays.entries()) {
      const suffix = `.${n}`;
      if (n === 0) this.#first = new ArrayRows(spec);
      else if (n < this.#moved) await this.#files.remove(suffix);
      else this.#beside.push({ array: new ArrayRows(spec), suffix, file: await this.#files.open(suffix) });
    }
    this.#arrays = arrays;
    if (this.#out.size === 0) await this.#writeHead(0);
  }

  /** The header of the first `count` tensors with the current number of rows; its length is always the same. */
  async #writeHead(count: number): Promise<void> {
    const all = this.#arrays.map((spec) => tensorOf(spec, this.#rows));
    await this.#out.writeHead(headerOf(all.slice(0, count), this.#rows, all));
  }

  /** Removes a tensor's own file as soon as it is in the output, so that at most one is on the disk twice. */
  async #move({ suffix, file }: Beside): Promise<void> {
    const { mark } = this.#out;
    try {
      const chunk = Buffer.alloc(Math.min(CHUNK, file.size));
      for (let done = 0; done < file.size; done += CHUNK) {
        const part = chunk.subarray(0, Math.min(CHUNK, file.size - done));
        await file.readAt(part, done);
        await this.#out.write(part);
      }
      await this.#writeHead(this.#moved + 1);
      this.#moved += 1;
    } catch (error) {
      await this.#out.rewind(mark);
      throw error;
    }
    await this.#keep();
    this.#beside.shift();
    await this.#files.remove(suffix);
  }
}

/** Larger elements first, then by name, as the Rust crate writes them: each tensor is then aligned. */
function inOrder(arrays: readonly ArraySpec[]): ArraySpec[] {
  const byName = (a: ArraySpec, b: ArraySpec) => (a.name < b.name ? -1 : 1);
  return [...arrays].sort((a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype) || byName(a, b));
}

function tensorOf({ name, dtype, rowShape }: ArraySpec, rows: number): WrittenTensor {
  return { name, dtype, rowShape, bytes: byteCount(dtype, [rows, ...rowShape]) };
}

function reservedName(name: string): TandemError {
  return new TandemError('TANDEM_OUTPUT_UNSUPPORTED', `safetensors keeps the name ${name} for itself`, {
    remedy: 'write NPZ or JSON lines: name the output .npz or .jsonl',
  });
}
