/** External data: weights in other files, which must be regular files inside the model's own folder. */
import { realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { TandemError } from '../../errors.js';
import { shellWord } from '../../shell-word.js';
import type { FileBytes } from './file-bytes.js';
import { ENTRY } from './schema.js';
import { expectBytes, type Field, fieldsOf, invalid, textOf } from './wire.js';

/** Other keys have been used to smuggle attributes into readers. */
const KEYS = new Set(['location', 'offset', 'length', 'checksum']);
/** The key of ONNX Runtime for weights in another layout (onnxruntime/core/framework/tensor_external_data_info.h); the plain weights are there too. */
const PREPACKED = /^prepacked_\d{1,9}$/;

/** Reads one StringStringEntryProto of `external_data` into `entries`. */
export function readEntry(file: FileBytes, field: Field, entries: Map<string, string>): void {
  expectBytes(file, field);
  let key = '';
  let value = '';
  for (const part of fieldsOf(file, field)) {
    if (part.number === ENTRY.key) key = textOf(file, part);
    if (part.number === ENTRY.value) value = textOf(file, part);
  }
  if (PREPACKED.test(key)) return;
  if (!KEYS.has(key)) throw invalid(file, `external data with the key "${key}"; it may have ${[...KEYS].join(', ')}`);
  entries.set(key, value);
}

/** Finds and checks the files of a model's weights. */
export class ExternalData {
  /** Real path of the model file. */
  readonly model: string;
  readonly #folder: string;
  /** The folders that files may be in: the model's, and that of its target if the model is a link (as in the hub's cache). */
  readonly #roots: readonly string[];
  readonly #found = new Map<string, { path: string; size: number }>();

  /** `model` is the path as the user gave it, links and all. */
  constructor(model: string) {
    this.model = realpathSync(model);
    this.#folder = dirname(model);
    this.#roots = [realpathSync(this.#folder), dirname(this.model)];
  }

  /** Whether the model's relative paths mean the same from `folder`. */
  isBeside(folder: string): boolean {
    return folder === this.#roots[0];
  }

  /** Real paths of the files that were located. */
  get files(): string[] {
    return [...this.#found.values()].map(({ path }) => path);
  }

  /**
   * The range of `expected` bytes of weight `name`, by its entries.
   * Throws TANDEM_WEIGHTS_ESCAPE, TANDEM_WEIGHTS_MISSING, TANDEM_WEIGHTS_SHORT, TANDEM_MODEL_INVALID.
   */
  locate(name: string, entries: ReadonlyMap<string, string>, expected: number): { path: string; offset: number } {
    const location = entries.get('location') ?? '';
    const { path, size } = this.#file(name, location);
    const offset = this.#number(name, entries, 'offset') ?? 0;
    const length = this.#number(name, entries, 'length') ?? expected;
    if (length !== expected) {
      throw new TandemError(
        'TANDEM_MODEL_INVALID',
        `weight "${name}" needs ${expected} bytes, but its entry has ${length}`,
      );
    }
    if (offset + length > size) {
      throw new TandemError(
        'TANDEM_WEIGHTS_SHORT',
        `weight "${name}" ends at byte ${offset + length} of ${location}, which has ${size}`,
        {
          remedy: `copy ${location} again, whole (in a git checkout: git lfs pull)`,
        },
      );
    }
    return { path, offset };
  }

  #number(name: string, entries: ReadonlyMap<string, string>, key: string): number | undefined {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) {
      throw new TandemError('TANDEM_MODEL_INVALID', `weight "${name}" has the ${key} "${text.slice(0, 40)}"`);
    }
    return value;
  }

  #file(name: string, location: string): { path: string; size: number } {
    const known = this.#found.get(location);
    if (known) return known;
    const parts = location.split('/');
    const plain = location !== '' && !/[\\\0]|^[A-Za-z][A-Za-z0-9+.-]*:/.test(location) && !isAbsolute(location);
    if (!plain || parts.includes('..')) throw this.#escape(name, location);
    const asked = join(this.#folder, location);
    let path: string;
    let stat: Stats;
    try {
      path = realpathSync(asked);
      stat = statSync(path);
    } catch (cause) {
      throw new TandemError('TANDEM_WEIGHTS_MISSING', `weight "${name}" lies in ${asked}, which cannot be read`, {
        remedy: `copy ${location} next to the model`,
        cause,
      });
    }
    if (!this.#roots.some((root) => isInside(root, path))) throw linkedOut(name, asked, path);
    if (!stat.isFile())
      throw new TandemError('TANDEM_WEIGHTS_MISSING', `weight "${name}" lies in ${asked}, which is not a file`);
    const found = { path, size: stat.size };
    this.#found.set(location, found);
    return found;
  }

  #escape(name: string, location: string): TandemError {
    return new TandemError(
      'TANDEM_WEIGHTS_ESCAPE',
      `weight "${name}" points to "${location.slice(0, 200)}", which is not a file in the model's folder`,
      { remedy: 'do not use this model; its weights must be in the same folder' },
    );
  }
}

/** Engines read only below one folder too. */
function linkedOut(name: string, asked: string, path: string): TandemError {
  return new TandemError(
    'TANDEM_WEIGHTS_ESCAPE',
    `weight "${name}" lies in ${asked}, a link that leads out of the model's folder, to ${path}`,
    { remedy: `put the file itself there: rm ${shellWord(asked)} && cp ${shellWord(path)} ${shellWord(asked)}` },
  );
}

function isInside(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
