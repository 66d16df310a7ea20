/** Which build of an engine computes here: measurements and plans hold for that one only. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EngineName } from './engine.js';
import { oneDnnMark } from './tfjs/one-dnn.js';

const require = createRequire(import.meta.url);

const PACKAGES: Record<string, string> = {
  tensorflow: '@tensorflow/tfjs-node',
  'tensorflow-gpu': '@tensorflow/tfjs-node-gpu',
  webgpu: '@tensorflow/tfjs-backend-webgpu',
  wasm: '@tensorflow/tfjs-backend-wasm',
};

/** A text that changes when the engine does, and that a person can read: `onnxruntime-node 1.30.0`. Loads nothing. */
export function engineBuild(engine: EngineName, provider: string): string {
  if (engine === 'custom') return `custom ${stampOf(fileURLToPath(process.env.TANDEM_ENGINE_MODULE ?? 'file:///'))}`;
  if (engine === 'onnxruntime') return packageBuild('onnxruntime-node');
  const name = PACKAGES[provider] ?? provider;
  const folder = packageFolder(name);
  const library = folder && stampOf(join(folder, 'deps/lib/libtensorflow_cc.so.2'));
  if (!library || library === 'absent') return packageBuild(name);
  return `${packageBuild(name)}, libtensorflow ${library}${oneDnnMark()}`;
}

function packageBuild(name: string): string {
  const folder = packageFolder(name);
  if (!folder) return `${name}, not installed`;
  return `${name} ${JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version}`;
}

function packageFolder(name: string): string | null {
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return dirname(realpathSync(join(folder, name, 'package.json')));
    } catch {
      // Not in this one.
    }
  }
  return null;
}

/** Size and time of a file, which a rebuilt library does not share with the one before. */
function stampOf(file: string): string {
  try {
    const { size, mtimeMs } = statSync(file);
    return `${size}-${Math.round(mtimeMs)}`;
  } catch {
    return 'absent';
  }
}
