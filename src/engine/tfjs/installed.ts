/** Which packages of tfjs are installed, by their files: nothing is loaded. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PEERS } from '../../package.js';

/** The packages with a native TensorFlow. */
export const PACKAGES = { tensorflow: '@tensorflow/tfjs-node', 'tensorflow-gpu': '@tensorflow/tfjs-node-gpu' } as const;

/** The packages that `tandem setup PROVIDER` installs: optional peers of tandem, which ONNX models do not need. */
const NEEDED: Record<string, readonly string[]> = {
  tensorflow: ['@tensorflow/tfjs', PACKAGES.tensorflow, 'node-api-headers'],
  'tensorflow-gpu': ['@tensorflow/tfjs', PACKAGES['tensorflow-gpu'], 'node-api-headers'],
  webgpu: ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-webgpu', 'webgpu'],
  wasm: ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'],
};

/** The providers of `tandem setup`. */
export const PROVIDERS = Object.keys(NEEDED);

/** The provider's missing packages for an installer: `@tensorflow/tfjs-node@4.22.0`. */
export function missingPackages(provider: string): string[] {
  const missing = (NEEDED[provider] ?? []).filter((name) => folderOf(name) === null);
  return missing.map((name) => `${name}@${PEERS[name]}`);
}

/** Where a package is installed, or null. */
export function folderOf(name: string): string | null {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  } catch {
    return null;
  }
}

/** What to type for a provider that cannot be used. */
export function setupRemedy(provider: string): string {
  const missing = missingPackages(provider);
  const installs = missing.length > 0 ? ` (which first runs: npm install --ignore-scripts ${missing.join(' ')})` : '';
  return `run: npx tandem setup ${provider}${installs}`;
}

/** The version of Node's stable addon interface whose folder the package uses; every Node since 16 has it. */
export const NAPI_VERSION = 8;

/** Where a package loads its addon from. */
export function addonFile(packageFolder: string): string {
  return join(packageFolder, 'lib', `napi-v${NAPI_VERSION}`, 'tfjs_binding.node');
}

/** Whether the provider's packages are here, a native one with its addon. */
export function isInstalled(provider: string): boolean {
  const native = PACKAGES[provider as keyof typeof PACKAGES] as string | undefined;
  if (native === undefined) return provider in NEEDED && missingPackages(provider).length === 0;
  const folder = folderOf(native);
  return folder !== null && existsSync(addonFile(folder));
}
