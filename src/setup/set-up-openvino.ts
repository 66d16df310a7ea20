/** Fetches OpenVINO's library into the user's cache, once for all projects, and tries it. */
import { join } from 'node:path';
import type { EngineFacts } from '../engine/entry.js';
import { cacheFolder } from '../machine/cache-folder.js';
import { setupFailure } from './failure.js';
import { hasAllFiles } from './library.js';
import { openvinoSource } from './openvino-wheels.js';
import { type Probe, probeEngine } from './probe.js';
import type { LibrarySource } from './tensorflow-wheels.js';
import { withLibrary } from './with-library.js';

const CANNOT = 'cannot set up OpenVINO';

export interface OpenvinoOptions {
  /** Check every file and try again even if it works. */
  readonly force?: boolean | undefined;
  readonly say?: (line: string) => void;
  readonly progress?: (fetched: number, total: number) => void;
  /** Environment of the started programs; it also determines the user's cache folder. */
  readonly env?: NodeJS.ProcessEnv;
  readonly source?: LibrarySource | null;
  /** Tries the engine; default: in a process of its own. */
  readonly probe?: () => Promise<Probe>;
}

export interface OpenvinoResult extends EngineFacts {
  /** Whether it worked before. */
  readonly kept: boolean;
}

/** Throws TANDEM_SETUP_FAILED. */
export async function setUpOpenvino(options: OpenvinoOptions = {}): Promise<OpenvinoResult> {
  const { env = process.env, say = () => {}, progress, force = false } = options;
  const tryIt = options.probe ?? (() => probeEngine('openvino', 'openvino'));
  const source = options.source === undefined ? openvinoSource() : options.source;
  if (source === null) {
    const where = `${process.platform} ${process.arch}`;
    throw setupFailure(
      CANNOT,
      `no library is fetched for ${where}`,
      'ONNX models run there by ONNX Runtime, without any setup',
    );
  }
  const cache = cacheFolder(env);
  if (!force && (await hasAllFiles(join(cache, source.name)))) {
    const probe = await tryIt();
    if (probe.works) return { ...probe, kept: true };
  }
  const library = { cache, env, say, ...(progress ? { progress } : {}) };
  await withLibrary(source, library, { cannot: CANNOT, what: 'the library' });
  const probe = await tryIt();
  if (probe.works) return { ...probe, kept: false };
  const remedy = probe.remedy ?? 'ONNX models run by ONNX Runtime, without any setup';
  throw setupFailure('OpenVINO is fetched but does not work here', probe.reason, remedy);
}
