/** Gives onnxruntime-node its CUDA provider: the driver and the cards are checked, the wheels fetched, the provider linked beside the library, and tried. */
import { lstat, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineFacts } from '../engine/entry.js';
import { hasProviderFiles, PROVIDER_FILES, providerFolder } from '../engine/onnxruntime/cuda-libraries.js';
import type { TandemError } from '../errors.js';
import { cacheFolder } from '../machine/cache-folder.js';
import { type NvidiaDriver, readNvidiaDriver } from '../machine/cards/nvidia.js';
import { CUDA_NEEDS, cudaSource } from './cuda-wheels.js';
import { setupFailure } from './failure.js';
import { type Probe, probeEngine } from './probe.js';
import type { LibrarySource } from './tensorflow-wheels.js';
import { withLibrary } from './with-library.js';

const CANNOT = "cannot set up ONNX Runtime's CUDA provider";

const WEBGPU = 'use --stage gpu,provider=webgpu, which needs no setup and runs on any card';

export interface CudaOptions {
  /** Link and try again even if it works. */
  readonly force?: boolean | undefined;
  readonly say?: (line: string) => void;
  readonly progress?: (fetched: number, total: number) => void;
  /** Environment of the started programs; it also determines the user's cache folder. */
  readonly env?: NodeJS.ProcessEnv;
  /** What the driver reports; default: of this machine. */
  readonly driver?: NvidiaDriver | null;
  readonly source?: LibrarySource | null;
  /** Where the provider is linked; default: beside the library of onnxruntime-node. */
  readonly into?: string | null;
  /** Tries the provider; default: in a process of its own. */
  readonly probe?: () => Promise<Probe>;
}

export interface CudaResult extends EngineFacts {
  /** Whether it worked before. */
  readonly kept: boolean;
}

/** Throws TANDEM_SETUP_FAILED: what of the machine does not fit is found before anything is fetched. */
export async function setUpCuda(options: CudaOptions = {}): Promise<CudaResult> {
  const { env = process.env, say = () => {}, progress, force = false } = options;
  const tryIt = options.probe ?? (() => probeEngine('onnxruntime', 'cuda'));
  const source = options.source === undefined ? cudaSource() : options.source;
  const into = options.into === undefined ? providerFolder() : options.into;
  if (source === null || into === null) {
    const where = `${process.platform} ${process.arch}`;
    throw setupFailure(CANNOT, `no provider is published for ${where} that fits onnxruntime-node`, WEBGPU);
  }
  const caution = requireCard(options.driver === undefined ? readNvidiaDriver() : options.driver);
  if (caution) say(caution);
  if (!force && options.into === undefined && hasProviderFiles()) {
    const probe = await tryIt();
    if (probe.works) return { ...probe, kept: true };
  }
  const cache = cacheFolder(env);
  const library = { cache, env, say, ...(progress ? { progress } : {}) };
  await withLibrary(source, library, { cannot: CANNOT, what: 'CUDA' }, (folder) => linkProvider(folder, into));
  const probe = await tryIt();
  if (probe.works && probe.device === 'GPU') return { ...probe, kept: false };
  // Else cards would be given to a provider that does not work. What was fetched stays in the cache.
  for (const file of PROVIDER_FILES) await rm(join(into, file), { force: true });
  const why = probe.works ? `it computes on ${probe.deviceName}` : probe.reason;
  const remedy = (!probe.works && probe.remedy) || 'tandem doctor shows what is found';
  throw setupFailure(
    'the CUDA provider is fetched but does not work here',
    why,
    remedy.replace(/^npx tandem setup cuda; or /, ''),
  );
}

/** Checks that CUDA 13 can run here; returns a caution if that cannot be known. Throws TANDEM_SETUP_FAILED. */
export function requireCard(driver: NvidiaDriver | null): string | null {
  if (driver === null) {
    const remedy = `install NVIDIA's driver ${CUDA_NEEDS.driver} or newer first; without an NVIDIA card ${WEBGPU}`;
    throw setupFailure(CANNOT, 'there is no NVIDIA driver', remedy);
  }
  const { version, fault, cards } = driver;
  if (fault) throw setupFailure(CANNOT, fault.why, fault.remedy);
  if (Number.parseInt(version, 10) < CUDA_NEEDS.driver)
    throw tooOld(`driver ${version}`, `CUDA 13 needs ${CUDA_NEEDS.driver}`, `update the driver, or ${WEBGPU}`);
  const known = cards.flatMap(({ cuda }) => cuda?.computeCapability ?? []);
  if (known.length === 0)
    return 'the driver does not report how old the card is: CUDA needs compute capability 7.5 or more';
  if (known.some((capability) => Number.parseFloat(capability) >= CUDA_NEEDS.computeCapability)) return null;
  const names = cards.map(({ name, cuda }) => `${name} has compute capability ${cuda?.computeCapability}`).join(', ');
  throw tooOld(names, `the provider needs ${CUDA_NEEDS.computeCapability}`, WEBGPU);
}

function tooOld(found: string, needed: string, remedy: string): TandemError {
  return setupFailure(CANNOT, `${found}, and ${needed} or newer`, remedy);
}

/** The library looks for providers in its own folder only. Links are replaced; a file that somebody has put there is not. */
async function linkProvider(library: string, into: string): Promise<void> {
  for (const file of PROVIDER_FILES) {
    const place = join(into, file);
    const there = await lstat(place).catch(() => null);
    if (there && !there.isSymbolicLink()) {
      throw setupFailure(CANNOT, `${place} is there already, from elsewhere`, `remove it: rm ${place}`);
    }
    await rm(place, { force: true });
    await symlink(join(library, 'onnxruntime', 'capi', file), place);
  }
}
