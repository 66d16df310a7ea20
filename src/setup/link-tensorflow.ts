/** Links tfjs-node to TensorFlow's library: a working one is kept; otherwise from the cache, the package's own download, or the published wheel, in this order. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tfjsEngine } from '../engine/tfjs/engine.js';
import { folderOf, PACKAGES, setupRemedy } from '../engine/tfjs/installed.js';
import { TandemError } from '../errors.js';
import { cacheFolder } from '../machine/cache-folder.js';
import { readNvidiaDriver } from '../machine/cards/nvidia.js';
import { linkAddon, unlinkAddon } from './addon.js';
import { diskFailure, setupFailure } from './failure.js';
import { cachedLibrary, fetchLibrary } from './library.js';
import { forgetLinked, isLinkedByTandem, type Linked, readLinked, writeLinked } from './linked.js';
import { withLock } from './lock.js';
import { packageOffersDownload, runPackageDownload } from './package-download.js';
import { type Probe, probeEngine } from './probe.js';
import { type LibrarySource, librarySource } from './tensorflow-wheels.js';

const PROVIDERS = { cpu: 'tensorflow', gpu: 'tensorflow-gpu' } as const;

export const TENSORFLOW_PACKAGES = { cpu: PACKAGES.tensorflow, gpu: PACKAGES['tensorflow-gpu'] } as const;

export interface LinkOptions {
  /** Which of the two packages: `gpu` is tfjs-node-gpu. */
  readonly kind: 'cpu' | 'gpu';
  /** Link again even if it works. */
  readonly force?: boolean;
  /** Give tfjs-node-gpu the CPU library: it then computes on the CPU, which is useful only for tests. */
  readonly allowCpuLibrary?: boolean;
  /** Called with a short description of each slow step. */
  readonly say?: (line: string) => void;
  /** Called at intervals with the fetched bytes and the total. */
  readonly progress?: (fetched: number, total: number) => void;
  /** Environment of the started programs; it also determines the user's cache folder. */
  readonly env?: NodeJS.ProcessEnv;
  /** The package to link; default: the one that tandem would load. */
  readonly packageFolder?: string;
  /** The library to use; default: the published one for this platform. */
  readonly source?: LibrarySource | null;
}

export interface LinkResult extends Linked {
  /** Whether it was already linked. */
  readonly kept: boolean;
}

/** Where the package is installed, or null. */
function tensorflowFolder(kind: 'cpu' | 'gpu'): string | null {
  return folderOf(TENSORFLOW_PACKAGES[kind]);
}

/** Links the package unless it is already linked. Throws TANDEM_SETUP_FAILED, TANDEM_ENGINE_MISSING if the package is absent. */
export async function linkTensorflow(options: LinkOptions): Promise<LinkResult> {
  const packageFolder = options.packageFolder ?? requirePackage(options.kind);
  if (!options.force) {
    const linked = await readLinked(packageFolder);
    if (linked !== null) return { ...linked, kept: true };
  }
  const linking = new Linking(packageFolder, options);
  try {
    return await withLock(join(linking.cache, 'setup.lock'), linking.onWait, () => linking.run());
  } catch (error) {
    throw diskFailure('cannot set up TensorFlow', linking.cache, error);
  }
}

function requirePackage(kind: 'cpu' | 'gpu'): string {
  const folder = tensorflowFolder(kind);
  if (folder !== null) return folder;
  throw new TandemError('TANDEM_ENGINE_MISSING', `${TENSORFLOW_PACKAGES[kind]} is not installed`, {
    remedy: setupRemedy(kind === 'gpu' ? 'tensorflow-gpu' : 'tensorflow'),
  });
}

/** One linking; the caller holds the lock. */
class Linking {
  readonly cache: string;
  readonly #packageFolder: string;
  readonly #options: LinkOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #say: (line: string) => void;

  constructor(packageFolder: string, options: LinkOptions) {
    this.#packageFolder = packageFolder;
    this.#options = options;
    this.#env = options.env ?? process.env;
    this.#say = options.say ?? (() => {});
    this.cache = cacheFolder(this.#env);
  }

  readonly onWait = (pid: number) => this.#say(`waiting for process ${pid}, which is setting up TensorFlow`);

  async run(): Promise<LinkResult> {
    const { force, kind } = this.#options;
    if (!force) {
      // Another process may have linked it while this one waited.
      const linked = (await readLinked(this.#packageFolder)) ?? (await this.#adopt());
      if (linked !== null) return { ...linked, kept: true };
    }
    await forgetLinked(this.#packageFolder);
    const library = this.#source();
    const cached = library && (await cachedLibrary(library, this.#libraryOptions()));
    if (cached) return this.#link(cached);
    // The package's GPU download is built for CUDA 11.2 and does not contain CUDA: the wheels are newer and complete.
    const downloaded = kind === 'cpu' ? await this.#download() : null;
    if (downloaded) return downloaded;
    if (library === null) throw unsupported(kind);
    this.#say(`fetching TensorFlow (${megabytes(library.downloadBytes)}, once for all projects of this user)`);
    return this.#link(await fetchLibrary(library, this.#libraryOptions()));
  }

  /** A library that was linked by hand or by the package's own script is kept if it works. */
  async #adopt(): Promise<Linked | null> {
    if (await isLinkedByTandem(this.#packageFolder)) return null;
    const probe = await this.#probe();
    return probe.works ? writeLinked(this.#packageFolder, 'hand', probe) : null;
  }

  async #download(): Promise<LinkResult | null> {
    if (!(await packageOffersDownload(this.#packageFolder, this.#env))) return null;
    this.#say("running the package's own download");
    await unlinkAddon(this.#packageFolder);
    const ended = await runPackageDownload(this.#packageFolder, this.#env);
    const probe = ended ? await this.#probe() : null;
    if (probe?.works) return { ...(await writeLinked(this.#packageFolder, 'package', probe)), kept: false };
    await unlinkAddon(this.#packageFolder);
    this.#say("the package's own download did not work: fetching the published wheel");
    return null;
  }

  async #link(libraryFolder: string): Promise<LinkResult> {
    const { kind, allowCpuLibrary } = this.#options;
    this.#say('linking the addon');
    await linkAddon(this.#packageFolder, libraryFolder, this.#env);
    const probe = await this.#probe();
    if (!probe.works) {
      // An addon that was built on another machine may not load here: the next run builds it again.
      await rm(join(libraryFolder, 'addon'), { recursive: true, force: true });
      throw setupFailure(
        'TensorFlow is linked but does not work',
        probe.reason,
        'run this again; it builds the addon again',
      );
    }
    if (kind === 'gpu' && probe.device === 'CPU' && !allowCpuLibrary) this.#explainCpu();
    return { ...(await writeLinked(this.#packageFolder, 'wheel', probe)), kept: false };
  }

  /** A machine without a driver is allowed, because an image may be built there. A driver whose card is not used is an error. */
  #explainCpu(): void {
    const driver = readNvidiaDriver();
    if (driver !== null) {
      throw setupFailure(
        'TensorFlow is linked but computes on the CPU',
        `it cannot use a card of the NVIDIA driver ${driver.version}`,
        'update the driver (CUDA 12 needs 525 or newer); npx tandem doctor shows what is found',
      );
    }
    this.#say('there is no NVIDIA driver: TensorFlow computes on the CPU until one is installed');
  }

  #probe(): Promise<Probe> {
    return probeEngine(tfjsEngine.id, PROVIDERS[this.#options.kind], this.#packageFolder);
  }

  #source(): LibrarySource | null {
    const { source, kind, allowCpuLibrary } = this.#options;
    if (source !== undefined) return source;
    return librarySource(kind === 'gpu' && !allowCpuLibrary ? 'gpu' : 'cpu');
  }

  #libraryOptions() {
    return { cache: this.cache, env: this.#env, say: this.#say, progress: this.#options.progress };
  }
}

function unsupported(kind: 'cpu' | 'gpu'): TandemError {
  return setupFailure(
    `cannot link ${TENSORFLOW_PACKAGES[kind]}`,
    `no TensorFlow library is published for ${process.platform} ${process.arch} that its addon can be built against`,
    'use ONNX models: onnxruntime works here without setup',
  );
}

/** A download size: `274 MB`, `3.4 GB`. */
export function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
