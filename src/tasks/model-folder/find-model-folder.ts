/** Finds the ONNX file and the folder of settings of a model as the Hugging Face hub lays it out. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { TandemError } from '../../errors.js';
import { findModelFile } from '../../model/find-model.js';
import { nearestName } from '../../nearest-name.js';

/** Where the parts of a model lie; absolute. */
export interface FoundModel {
  readonly modelFile: string;
  /** Where tokenizer.json, config.json and modules.json lie. */
  readonly folder: string;
}

/** Suffixes of `model….onnx` by the name of the variant. */
const SUFFIXES: Readonly<Record<string, string>> = {
  fp32: '',
  fp16: '_fp16',
  int8: '_int8',
  uint8: '_uint8',
  q8: '_quantized',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
};

/**
 * `path` is a folder, or an .onnx file in it or in its `onnx/`. `variant` is a name such as `q8`, or the name of a file.
 * Throws TANDEM_MODEL_MISSING and what `findModelFile` throws.
 */
export async function findModelFolder(path: string, variant?: string): Promise<FoundModel> {
  if (variant === undefined) {
    const modelFile = await findModelFile(path);
    const isFolder = (await stat(path)).isDirectory();
    return { modelFile, folder: isFolder ? resolve(path) : await settingsFolder(dirname(modelFile)) };
  }
  const folder = (await stat(path).catch(() => null))?.isDirectory() ? resolve(path) : null;
  if (folder === null) {
    throw new TandemError('TANDEM_USAGE', `--model-file ${variant} chooses in a folder, and ${path} is none`, {
      remedy: `leave --model-file out, or give the folder: ${dirname(path)}`,
    });
  }
  return { modelFile: await variantIn(folder, variant), folder };
}

/** A folder named `onnx` without a tokenizer holds only the model. */
async function settingsFolder(folder: string): Promise<string> {
  if (basename(folder) !== 'onnx' || (await isFile(join(folder, 'tokenizer.json')))) return folder;
  return dirname(folder);
}

async function variantIn(folder: string, variant: string): Promise<string> {
  const suffix = Object.hasOwn(SUFFIXES, variant) ? SUFFIXES[variant]! : null;
  const name = suffix !== null ? `model${suffix}.onnx` : variant.endsWith('.onnx') ? variant : `${variant}.onnx`;
  for (const place of [join(folder, 'onnx', name), join(folder, name)]) if (await isFile(place)) return place;
  const there = [...(await onnxIn(folder)), ...(await onnxIn(join(folder, 'onnx')))];
  const variants = there.map(variantOf);
  const nearest = nearestName(variant, variants);
  throw new TandemError('TANDEM_MODEL_MISSING', `${folder} holds no ${name}, here or in onnx/`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}it holds ${variants.join(', ') || 'no .onnx file'}`,
  });
}

function variantOf(name: string): string {
  const known = Object.entries(SUFFIXES).find(([, suffix]) => name === `model${suffix}.onnx`);
  return known?.[0] ?? name;
}

async function onnxIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.onnx')).sort();
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}
