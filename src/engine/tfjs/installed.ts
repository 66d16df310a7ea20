/** What of tfjs is installed, seen from its files alone: nothing is loaded. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The packages that bring a native TensorFlow. */
export const PACKAGES = { tensorflow: '@tensorflow/tfjs-node', 'tensorflow-gpu': '@tensorflow/tfjs-node-gpu' } as const;

/** Those that bring a backend of tfjs's own. */
const BACKENDS: Record<string, readonly string[]> = {
  webgpu: ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-webgpu', 'webgpu'],
  wasm: ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'],
};

/** Node's stable addon interface: the package looks in the folder of the highest one it knows, which every Node since 16 has. */
export const NAPI_VERSION = 8;

/** Where a package loads its addon from. */
export function addonFile(packageFolder: string): string {
  return join(packageFolder, 'lib', `napi-v${NAPI_VERSION}`, 'tfjs_binding.node');
}

/** Whether the provider's packages are here, a native one with its addon. */
export function isInstalled(provider: string): boolean {
  const { resolve } = createRequire(import.meta.url);
  try {
    const native = PACKAGES[provider as keyof typeof PACKAGES] as string | undefined;
    if (native) return existsSync(addonFile(dirname(resolve(`${native}/package.json`))));
    return BACKENDS[provider]?.every((name) => resolve(`${name}/package.json`)) ?? false;
  } catch {
    return false;
  }
}
