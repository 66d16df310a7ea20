/** Opens a model by path: finds the file, looks which format it is, and reads its graph (never its weights). */
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TandemError } from '../errors.js';
import type { ModelGraph } from './graph.js';

/** Where a folder keeps its model, in order of preference (the last two as on the Hugging Face hub). */
const FILES_IN_FOLDER = ['model.json', 'model.onnx', 'onnx/model.onnx'];

/**
 * The model graph at `path`: a `model.json` (LayersModel or GraphModel), a `.onnx` file, or a folder with one of them.
 * Throws TANDEM_MODEL_MISSING, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED, TANDEM_WEIGHTS_*.
 */
export async function openModel(path: string): Promise<ModelGraph> {
  const file = await findModelFile(path);
  // A reader is loaded when its format turns up: all of them would cost a start a tenth of a second.
  if (file.endsWith('.onnx')) return (await import('./onnx.js')).readOnnxModel(file);
  const manifest = await readModelJson(file);
  if (isGraphModel(manifest)) return (await import('./graph-model.js')).readGraphModel(file, manifest);
  return (await import('./layers-model.js')).readLayersModel(file, manifest);
}

async function findModelFile(path: string): Promise<string> {
  const candidates = [path, ...FILES_IN_FOLDER.map((name) => join(path, name))];
  for (const candidate of candidates) {
    const found = await stat(candidate).catch(() => null);
    // Links stay: in the hub's cache they lead to blobs, whose names tell neither format nor neighbours.
    if (found?.isFile()) return resolve(candidate);
  }
  throw new TandemError('TANDEM_MODEL_MISSING', `no model at ${path}`, {
    remedy: 'give the path of a model.json, a .onnx file, or a folder that holds one',
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
