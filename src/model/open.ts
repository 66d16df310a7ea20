/** Opens a model by path: finds the file, looks which format it is, and reads its graph (never its weights). */
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TandemError } from '../errors.js';
import type { ModelGraph } from './graph.js';

/** Where a folder keeps its model, in order of preference (the last two as on the Hugging Face hub). */
const FILES_IN_FOLDER = ['model.json', 'model.onnx', 'onnx/model.onnx'];
const ONNX = '.onnx';

/**
 * The model graph at `path`: a `model.json` (LayersModel or GraphModel), a `.onnx` file, or a folder with one of them: under its usual
 * name, or as the only `.onnx` file there or in `onnx/`.
 * Throws TANDEM_MODEL_MISSING, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED, TANDEM_WEIGHTS_*.
 */
export async function openModel(path: string): Promise<ModelGraph> {
  const file = await findModelFile(path);
  // A reader is loaded when its format turns up: all of them would cost a start a tenth of a second.
  if (file.endsWith(ONNX)) return (await import('./onnx.js')).readOnnxModel(file);
  const manifest = await readModelJson(file);
  if (isGraphModel(manifest)) return (await import('./graph-model.js')).readGraphModel(file, manifest);
  return (await import('./layers-model.js')).readLayersModel(file, manifest);
}

/** The file of an ONNX model, which its name tells; `null` for another format's. Throws TANDEM_MODEL_MISSING. */
export async function findOnnx(path: string): Promise<string | null> {
  const file = await findModelFile(path);
  return file.endsWith(ONNX) ? file : null;
}

async function findModelFile(path: string): Promise<string> {
  const candidates = [path, ...FILES_IN_FOLDER.map((name) => join(path, name))];
  for (const candidate of candidates) {
    // Links stay: in the hub's cache they lead to blobs, whose names tell neither format nor neighbours.
    if (await isFile(candidate)) return checkFetched(resolve(candidate));
  }
  const others = [...(await onnxFiles(path)), ...(await onnxFiles(join(path, 'onnx')))];
  if (others.length === 1) return checkFetched(resolve(others[0]!));
  throw new TandemError('TANDEM_MODEL_MISSING', `no model at ${path}`, {
    remedy:
      others.length > 1
        ? `give one of the files: ${others.join(', ')}`
        : 'give the path of a model.json, a .onnx file, or a folder that holds one',
  });
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}

async function onnxFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const paths = names.filter((name) => name.endsWith('.onnx')).map((name) => join(folder, name));
  return paths.sort();
}

const LFS_POINTER = 'version https://git-lfs.github.com/';

/** Model hubs are git repositories: without Git LFS a clone has notes in place of its large files. */
async function checkFetched(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(LFS_POINTER.length), 0, LFS_POINTER.length, 0);
    if (buffer.toString('latin1', 0, bytesRead) !== LFS_POINTER) return file;
  } finally {
    await handle.close();
  }
  throw new TandemError('TANDEM_MODEL_MISSING', `${file} is a pointer of Git LFS, not the model itself`, {
    remedy: 'fetch the large files with: git lfs pull',
  });
}

export async function readModelJson(file: string): Promise<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new TandemError('TANDEM_MODEL_INVALID', `${file} is not JSON: ${(cause as Error).message}`, {
      remedy: 'a TensorFlow.js model is a model.json beside its weight shards; convert it again or copy it whole',
      cause,
    });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new TandemError('TANDEM_MODEL_INVALID', `${file} holds no JSON object`, {
      remedy: 'give the model.json that the converter wrote',
    });
  }
  return parsed as Record<string, unknown>;
}

function isGraphModel(manifest: Record<string, unknown>): boolean {
  if (manifest.format === 'graph-model') return true;
  const topology = manifest.modelTopology as { node?: unknown } | null | undefined;
  return manifest.format === undefined && Array.isArray(topology?.node);
}
