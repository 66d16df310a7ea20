/** Finds the file of a model by path; if there is none, the error names what is there instead. */
import type { Stats } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { TandemError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { shellWord } from '../shell-word.js';
import { fileEnds, foreignKind, optimumCommand } from './file-kind.js';
import { remoteModel } from './remote-model.js';

/** The usual names of a model in a folder, in order of preference (the last two as on the Hugging Face hub). */
const FILES_IN_FOLDER = ['model.json', 'model.onnx', 'onnx/model.onnx'];
const GIVE = 'give the path of a model.json, a .onnx file, or a folder that holds one';
/** Names that a message lists at most. */
const LISTED = 10;
/** Files of a folder that are read at most. */
const LOOKED_INTO = 50;

/**
 * The absolute path of the model file at `path`: itself, or in a folder the file with a usual name, or the only `.onnx` file there or in `onnx/`.
 * Links are not resolved: in the hub's cache they lead to blobs, whose names show neither format nor folder. Throws TANDEM_MODEL_MISSING,
 * TANDEM_MODEL_UNSUPPORTED.
 */
export async function findModelFile(path: string): Promise<string> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) throw await nothingAt(path, found);
  if (found.isFile()) return resolve(path);
  if (!found.isDirectory()) throw notAFile(path, found);
  const names = await namesIn(path);
  for (const name of FILES_IN_FOLDER) {
    if (await isFile(join(path, name))) return resolve(path, name);
  }
  const onnx = [...onnxFiles(path, names), ...onnxFiles(join(path, 'onnx'), await namesIn(join(path, 'onnx'), []))];
  if (onnx.length === 1) return resolve(onnx[0]!);
  if (onnx.length > 1) throw missing(`${path} holds ${onnx.length} models`, `give one of the files: ${listed(onnx)}`);
  throw await noneIn(path, names);
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}

async function namesIn(folder: string, otherwise?: string[]): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (cause) {
    if (otherwise) return otherwise;
    throw new TandemError('TANDEM_MODEL_MISSING', `${folder} cannot be read: ${(cause as Error).message}`, {
      remedy: `check its permissions: ls -ld ${shellWord(folder)}`,
      cause,
    });
  }
}

function onnxFiles(folder: string, names: readonly string[]): string[] {
  return names.filter((name) => extname(name).toLowerCase() === '.onnx').map((name) => join(folder, name));
}

function notAFile(path: string, found: Stats): TandemError {
  const what = found.isFIFO() ? 'a pipe' : found.isCharacterDevice() || found.isBlockDevice() ? 'a device' : 'no file';
  return missing(`${path} is ${what}`, 'a model is read at many places, by several processes: save it to a file first');
}

/** The error for a `path` that cannot be read. */
async function nothingAt(path: string, { code, message }: NodeJS.ErrnoException): Promise<TandemError> {
  if (code !== 'ENOENT' && code !== 'ENOTDIR') return missing(`${path} cannot be read: ${message}`, GIVE);
  if (path === '-') return missing('a model cannot be read from stdin', GIVE);
  const link = await lstat(path)
    .then((found) => found.isSymbolicLink())
    .catch(() => false);
  if (link) {
    const target = await readlink(path);
    return missing(
      `${path} is a link to ${target}, which does not exist`,
      'copy the model here again, or correct the link',
    );
  }
  const folder = dirname(path);
  const near = nearestName(basename(path), await namesIn(folder, []));
  if (near !== null) return missing(`no model at ${path}`, `did you mean ${shellWord(join(folder, near))}?`);
  return remoteModel(path) ?? missing(`no model at ${path}`, GIVE);
}

/** The error for a folder: another program's model, a model one level deeper, or no model. */
async function noneIn(path: string, names: readonly string[]): Promise<TandemError> {
  if (names.length === 0) return missing(`${path} is an empty folder`, GIVE);
  if (extname(path) === '.mlpackage' || names.includes('coremldata.bin')) {
    return unsupported(
      `${path} is a Core ML model`,
      `export the model that it was made from: ${optimumCommand('ORG/NAME')}`,
    );
  }
  const files: string[] = [];
  for (const name of names.slice(0, LOOKED_INTO)) if (await isFile(join(path, name))) files.push(join(path, name));
  for (const file of files) {
    const ends = await fileEnds(file).catch(() => null);
    if (ends && /\.json$/i.test(file) && ends.head.includes('"modelTopology"')) {
      return missing(`${path} holds no model.json`, `give the file: ${shellWord(file)}`);
    }
  }
  for (const file of files) {
    const ends = await fileEnds(file).catch(() => null);
    const kind = ends && ends.size > 0 ? foreignKind(ends) : null;
    if (kind)
      return unsupported(
        `${path} holds no model.json and no .onnx file; ${basename(file)} is ${kind.what}`,
        kind.remedy,
      );
  }
  for (const name of names.slice(0, LOOKED_INTO)) {
    const within = await namesIn(join(path, name), []);
    const model = within.find((inner) => inner === 'model.json' || onnxFiles('', [inner]).length > 0);
    if (model) return missing(`${path} holds no model itself`, `give ${shellWord(join(path, name))}`);
  }
  return missing(`${path} holds no model.json and no .onnx file, but ${listed(names)}`, GIVE);
}

function listed(names: readonly string[]): string {
  const more = names.length - LISTED;
  return `${names.slice(0, LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function missing(what: string, remedy: string): TandemError {
  return new TandemError('TANDEM_MODEL_MISSING', what, { remedy });
}

function unsupported(what: string, remedy: string): TandemError {
  return new TandemError('TANDEM_MODEL_UNSUPPORTED', what, { remedy });
}
