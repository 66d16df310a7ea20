/** Opens a model by path: finds the file, recognises its format, and reads its graph (never its weights). */
import { readFile } from 'node:fs/promises';
import { TandemError } from '../errors.js';
import { type FileEnds, fileEnds, firstLine, foreignKind, isOnnx } from './file-kind.js';
import { findModelFile } from './find-model.js';
import type { ModelGraph } from './graph.js';
import { withRows } from './rows-axis.js';

/** As `readModel`, with the rows' axis of each input as the model shows it. Throws TANDEM_ROWS_AXIS if it does not, and as `readModel`. */
export async function openModel(path: string): Promise<ModelGraph> {
  return withRows(await readModel(path));
}

/**
 * The model graph at `path`: a `model.json` (LayersModel or GraphModel), an ONNX file, or a folder with one of them: under its usual
 * name, or as the only `.onnx` file there or in `onnx/`. `fed` names inputs that have a value in the model and are given another.
 * Throws TANDEM_MODEL_MISSING, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED, TANDEM_WEIGHTS_*.
 */
export async function readModel(path: string, fed: readonly string[] = []): Promise<ModelGraph> {
  const file = await findModelFile(path);
  // A reader is loaded on use: all of them would cost a start a tenth of a second.
  if ((await formatOf(file)) === 'onnx') return (await import('./onnx.js')).readOnnxModel(file, fed);
  const manifest = await readModelJson(file);
  if (isGraphModel(manifest)) return (await import('./graph-model.js')).readGraphModel(file, manifest);
  await checkTopology(file, manifest);
  return (await import('./layers-model.js')).readLayersModel(file, manifest);
}

/** The file of an ONNX model; `null` for another format's. Throws TANDEM_MODEL_MISSING, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED. */
export async function findOnnx(path: string): Promise<string | null> {
  const file = await findModelFile(path);
  return (await formatOf(file)) === 'onnx' ? file : null;
}

/** The file's bytes are checked before its name: the wrong file often has the right name. */
async function formatOf(file: string): Promise<'onnx' | 'json'> {
  const ends = await fileEnds(file);
  const line = firstLine(ends);
  if (line !== null && /^[{[]/.test(line)) return 'json';
  const kind = foreignKind(ends);
  if (kind) throw new TandemError(kind.code, `${file} is ${kind.what}`, { remedy: kind.remedy });
  if (line === null && isOnnx(ends)) return 'onnx';
  throw notAModel(ends, line);
}

/** The message shows the beginning of a text: a server that refuses a download often gives the reason. */
function notAModel({ file }: FileEnds, line: string | null): TandemError {
  const what = line === null ? 'in a format that tandem does not know' : `text, not a model; it begins with: ${line}`;
  return new TandemError('TANDEM_MODEL_INVALID', `${file} is ${what}`, {
    remedy:
      'tandem reads ONNX (.onnx) and TensorFlow.js (a model.json with its weight shards): download or convert the model again',
  });
}

export async function readModelJson(file: string): Promise<Record<string, unknown>> {
  const text = (await readFile(file, 'utf8')).replace(/^\ufeff/, '');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    const rows = isJsonLines(text);
    throw new TandemError(
      'TANDEM_MODEL_INVALID',
      rows ? `${file} has rows (JSON lines), not a model` : `${file} is not JSON: ${(cause as Error).message}`,
      {
        remedy: rows
          ? 'the model comes first, then the rows: tandem run MODEL --input ROWS --output FILE'
          : 'a TensorFlow.js model is a model.json with its weight shards; convert it again or copy it whole',
        cause,
      },
    );
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new TandemError('TANDEM_MODEL_INVALID', `${file} holds no JSON object`, {
      remedy: 'give the model.json that the converter wrote',
    });
  }
  return parsed as Record<string, unknown>;
}

/** Whether the first of several lines is JSON by itself. */
function isJsonLines(text: string): boolean {
  const end = text.indexOf('\n');
  if (end < 0) return false;
  try {
    JSON.parse(text.slice(0, end));
    return true;
  } catch {
    return false;
  }
}

function isGraphModel(manifest: Record<string, unknown>): boolean {
  if (manifest.format === 'graph-model') return true;
  const topology = manifest.modelTopology as { node?: unknown } | null | undefined;
  return manifest.format === undefined && Array.isArray(topology?.node);
}

/** Throws TANDEM_MODEL_UNSUPPORTED, TANDEM_MODEL_INVALID for a JSON object that is not a model. */
async function checkTopology(file: string, manifest: Record<string, unknown>): Promise<void> {
  if (manifest.modelTopology != null) return;
  const kind = (await import('./json-kind.js')).jsonKind(file, manifest);
  if (kind) throw new TandemError(kind.code, `${file} is ${kind.what}`, { remedy: kind.remedy });
  const keys = Object.keys(manifest).slice(0, 10).join(', ');
  throw new TandemError('TANDEM_MODEL_INVALID', `${file} has no modelTopology${keys ? `, but ${keys}` : ''}`, {
    remedy: 'give the model.json that tf.js or its converter wrote',
  });
}
