/** Recognises files that do not hold rows, by their first bytes or their name, and gives the command that converts them. */
import { basename, extname } from 'node:path';
import { TandemError } from '../errors.js';
import { shellWord } from '../shell-word.js';
import type { Format } from './format.js';

/** A kind of file that tandem does not read as rows. */
interface Kind {
  /** As in "rows.gz is …". */
  readonly what: string;
  readonly remedy: (file: string) => string;
}

/** First bytes of a file, as Latin-1, and the kind of file that begins with them. */
const BY_MAGIC: readonly (readonly [magic: string, kind: Kind])[] = [
  ['\x1f\x8b', compressed('gzip', 'gunzip -c')],
  ['\x28\xb5\x2f\xfd', compressed('zstd', 'zstd -dc')],
  ['\xfd7zXZ\0', compressed('xz', 'xz -dc')],
  ['BZh', compressed('bzip2', 'bunzip2 -c')],
  ['PAR1', kind('Parquet', () => 'rename it to .parquet, or add --input-format parquet')],
  ['ARROW1', kind('Arrow', () => 'rename it to .arrow, or add --input-format arrow')],
  ['\x89HDF\r\n\x1a\n', kind('HDF5', (file) => array('import h5py', `h5py.File(${python(file)})["NAME"][:]`))],
  [
    'SQLite format 3\0',
    kind(
      'an SQLite database',
      (file) => `sqlite3 -json ${shellWord(file)} 'SELECT * FROM NAME' | jq -c '.[] | {inputs: .}' > rows.jsonl`,
    ),
  ],
  ['\x93NUMPY', kind('an NPY array', () => 'rename it to .npy, or add --input-format npy')],
  [
    '%PDF',
    kind('a PDF', () => 'rows are numbers: make an array of the values that the model takes, and save it with np.save'),
  ],
  ['\x89PNG', image()],
  ['\xff\xd8\xff', image()],
];

const PICKLE = kind('a Python pickle', (file) =>
  array('import pickle', `np.asarray(pickle.load(open(${python(file)}, "rb")))`),
);
const SPREADSHEET = kind('a spreadsheet', (file) => frame('read_excel', file));
const TORCH = kind('a PyTorch file', (file) => array('import torch', `torch.load(${python(file)}).numpy()`));
const SAFETENSORS = kind('safetensors', () => 'rename it to .safetensors, or add --input-format safetensors');
const JSON_ARRAY = kind(
  'one JSON array, not one row per line',
  (file) => `jq -c '.[]' ${shellWord(file)} > rows.jsonl`,
);
const ZIP = kind('a ZIP archive without arrays', (file) => `extract it first: unzip ${shellWord(file)}`);
const NPZ = kind('an NPZ archive', () => 'rename it to .npz, or add --input-format npz');
const JSON_LINES = kind('JSON text', () => 'rename it to .jsonl, or add --input-format jsonl');
const CSV = kind('CSV text', () => 'rename it to .csv, or add --input-format csv');
const PRETTY = kind(
  'JSON that spans several lines, not one row per line',
  (file) => `jq -c . ${shellWord(file)} > rows.jsonl`,
);

/** By the extension of the file's name, in lower case. */
const BY_SUFFIX: ReadonlyMap<string, Kind> = new Map([
  ['.gz', compressed('gzip', 'gunzip -c')],
  ['.zst', compressed('zstd', 'zstd -dc')],
  ['.xz', compressed('xz', 'xz -dc')],
  ['.bz2', compressed('bzip2', 'bunzip2 -c')],
  ['.xlsx', SPREADSHEET],
  ['.xls', SPREADSHEET],
  ['.pkl', PICKLE],
  ['.pickle', PICKLE],
  ['.pt', TORCH],
  ['.pth', TORCH],
  ['.h5', kind('HDF5', (file) => array('import h5py', `h5py.File(${python(file)})["NAME"][:]`))],
  ['.hdf5', kind('HDF5', (file) => array('import h5py', `h5py.File(${python(file)})["NAME"][:]`))],
  [
    '.json',
    kind(
      'JSON, and rows must be JSON lines',
      (file) =>
        `if it is one array: jq -c '.[]' ${shellWord(file)} > rows.jsonl; if each line is a row: --input-format jsonl`,
    ),
  ],
  [
    '.txt',
    kind('text, and rows must be JSON lines or arrays', () => 'if each line is a row in JSON: --input-format jsonl'),
  ],
]);

/** How to convert tandem's results to a format that it does not write, by extension. */
const FROM_RESULTS: ReadonlyMap<string, string> = new Map([
  ['.gz', 'write it uncompressed, then compress it: gzip -k'],
  ['.zst', 'write it uncompressed, then compress it: zstd'],
  ['.json', 'write out.jsonl, then: jq -s . out.jsonl > out.json'],
]);

function kind(what: string, remedy: (file: string) => string): Kind {
  return { what, remedy };
}

function compressed(name: string, command: string): Kind {
  return kind(`compressed with ${name}`, (file) => {
    const inner = basename(file, extname(file));
    const isRows = /\.(jsonl|ndjson|npy|npz)$/i.test(inner);
    return `decompress it first: ${command} ${shellWord(file)} > ${shellWord(isRows ? inner : 'rows.jsonl')}`;
  });
}

/** Makes rows of a table whose columns are named like the model's inputs. */
function frame(reader: string, file: string): string {
  const rows = `[print(json.dumps({"inputs": row}, default=lambda a: a.tolist())) for row in pd.${reader}(${python(file)}).to_dict("records")]`;
  return `with columns named like the model's inputs: python3 -c 'import json, pandas as pd; ${rows}' > rows.jsonl`;
}

function array(imports: string, value: string): string {
  return `python3 -c 'import numpy as np${imports && `; ${imports}`}; np.save("rows.npy", ${value})'`;
}

function image(): Kind {
  return kind('an image', (file) =>
    array('from PIL import Image', `np.asarray(Image.open(${python(file)}), "float32")[None] / 255`),
  );
}

/** A Python string literal inside single quotes of a shell. */
function python(file: string): string {
  return JSON.stringify(file).replaceAll("'", `'\\''`);
}

/** Bytes of the start of a file that are examined; a part of a longer line is enough. */
export const HEAD_BYTES = 4096;

/**
 * Throws TANDEM_INPUT_INVALID if `head`, the first bytes of an input that is read as `format`, belongs to a kind of file that
 * holds no rows. `where` is the name of the input in the message.
 */
export function refuseOtherKinds(head: Buffer, where: string, format: Format): void {
  const found = kindOf(head, format);
  if (!found) return;
  const file = where === 'stdin' ? 'FILE' : where;
  throw new TandemError('TANDEM_INPUT_INVALID', `${where} is ${found.what}`, { remedy: found.remedy(file) });
}

function kindOf(head: Buffer, format: Format): Kind | null {
  // First: the length that it begins with may be the mark of another kind.
  const isSafetensors = head[8] === 0x7b && head.length > 16 && head.readBigUInt64LE(0) < 1n << 32n;
  if (isSafetensors) return format === 'safetensors' ? null : SAFETENSORS;
  const start = head.toString('latin1', 0, 16);
  const binary = BY_MAGIC.find(
    ([magic]) =>
      start.startsWith(magic) &&
      !(format === 'npy' && magic === '\x93NUMPY') &&
      !(format === 'arrow' && magic === 'ARROW1'),
  );
  if (binary) return binary[1];
  if (start.startsWith('PK\x03\x04')) return format === 'npz' ? null : zipKind(head.toString('latin1'));
  if (head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5) return PICKLE;
  if (format === 'arrow' || format === 'safetensors') return null;
  if (format === 'csv' || format === 'tsv') {
    return /^(?:\xef\xbb\xbf)?\s*\{"/.test(start) ? JSON_LINES : null;
  }
  if (format === 'jsonl') return textKind(head.toString('utf8').replace(/^\ufeff/, ''));
  return /^\s*[[{]/.test(start) ? JSON_LINES : null;
}

/** Throws TANDEM_INPUT_INVALID if the `names` of an archive's members show a known kind without arrays. */
export function refuseOtherArchives(names: readonly string[], where: string): void {
  const found = zipKind(names.join('\n'));
  if (found === NPZ || found === ZIP) return;
  throw new TandemError('TANDEM_INPUT_INVALID', `${where} is ${found.what}`, { remedy: found.remedy(where) });
}

/** The kind of an archive, by the names of its members. */
function zipKind(names: string): Kind {
  if (names.includes('[Content_Types].xml') || names.includes('xl/')) return SPREADSHEET;
  if (names.includes('data.pkl')) return TORCH;
  if (names.includes('.npy')) return NPZ;
  return ZIP;
}

/** A row never holds an object inside a list, so a list of objects is one array of rows. A line with an unclosed bracket continues on the next line. */
function textKind(text: string): Kind | null {
  if (/^\s*\[\s*\{/.test(text)) return JSON_ARRAY;
  const [first = '', second = '', ...more] = text.trimStart().split(/\r?\n/);
  if (!text.includes('\n')) return null;
  const line = first.trim();
  if (line === '[') return JSON_ARRAY;
  // A damaged first line before good lines is a failure of that row alone. The last line of the head may be incomplete.
  const secondIsGood = more.length > 0 ? isJson(second) : /^\s*[[{]/.test(second);
  if (line === '{' || (/^[[{].*[[{,:]$/.test(line) && !secondIsGood)) return line.startsWith('[') ? JSON_ARRAY : PRETTY;
  return looksLikeCsv(first, second) ? CSV : null;
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** Whether both lines have the same number of comma-separated values and neither is JSON. */
function looksLikeCsv(first: string, second: string): boolean {
  const commas = (line: string) => line.split(',').length - 1;
  if (/^\s*[[{]/.test(first) || isJson(first) || isJson(second)) return false;
  return commas(first) > 0 && commas(first) === commas(second);
}

/** What to do with a name whose extension is not a row format; `side` is the option that gave it. */
export function remedyForName(
  path: string,
  side: 'input' | 'output',
): { readonly what: string | null; readonly remedy: string } {
  const suffix = extname(path).toLowerCase();
  if (side === 'input') {
    const found = BY_SUFFIX.get(suffix);
    return found
      ? { what: found.what, remedy: found.remedy(path) }
      : {
          what: null,
          remedy: 'name it .jsonl, .csv, .parquet, .npy, .npz or .safetensors, or give the format with --input-format',
        };
  }
  const remedy =
    FROM_RESULTS.get(suffix) ??
    'name it .jsonl, .csv, .parquet, .npy, .npz or .safetensors, or give the format with --output-format';
  return { what: null, remedy };
}
