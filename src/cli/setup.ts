/** `tandem setup`: gives an engine the native library that npm does not bring. */
import { Argument, Command } from 'commander';
import { asTandemError } from '../errors.js';
import { readNvidiaDriver } from '../plan/nvidia.js';
import {
  type LinkOptions,
  type LinkResult,
  linkTensorflow,
  megabytes,
  TENSORFLOW_PACKAGES,
} from '../setup/link-tensorflow.js';

import { printError } from './fail.js';

export interface SetupOptions {
  /** true: link tfjs-node-gpu and fail where that fails; false: leave it; undefined: try where an NVIDIA driver is. */
  readonly gpu?: boolean;
  readonly force?: boolean;
  readonly allowCpuLibrary?: boolean;
  /** Say nothing of what is already done. */
  readonly quiet?: boolean;
}

export function setupCommand(): Command {
  return new Command('setup')
    .description('give an engine the native library that npm does not bring')
    .addArgument(new Argument('<provider>', 'what to set up').choices(['tensorflow', 'tensorflow-gpu']))
    .option('--gpu', 'also for the GPU (default: where an NVIDIA driver is)')
    .option('--no-gpu', 'for the CPU only')
    .option('--force', 'link again even if it works')
    .option('--allow-cpu-library', 'give the GPU package the CPU library, for tests')
    .action((provider: string, options: SetupOptions) =>
      setUpTensorflow(provider === 'tensorflow-gpu' ? { ...options, gpu: true } : options),
    );
}

/** Link the TensorFlow packages, telling each step and its time on stderr. Throws TANDEM_SETUP_FAILED, TANDEM_ENGINE_MISSING. */
export async function setUpTensorflow({ gpu, quiet, ...options }: SetupOptions): Promise<void> {
  await report('cpu', () => linkTensorflow({ kind: 'cpu', force: options.force, ...voiceOf('cpu') }), quiet);
  if (!(gpu ?? readNvidiaDriver() !== null)) return;
  try {
    await report('gpu', () => linkTensorflow({ kind: 'gpu', ...options, ...voiceOf('gpu') }), quiet);
  } catch (error) {
    if (gpu) throw error;
    // Nobody asked for the GPU: what works goes on without it.
    printError(asTandemError(error));
  }
}

async function report(kind: 'cpu' | 'gpu', link: () => Promise<LinkResult>, quiet = false): Promise<void> {
  const start = performance.now();
  const { version, device, kept } = await link();
  if (kept && quiet) return;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const name = `TensorFlow ${version} on the ${device}`;
  voiceOf(kind).say(kept ? `linked already: ${name}` : `linked in ${seconds} s: ${name}`);
}

/** Lines on stderr; the download's progress only where somebody watches, on a line that goes away. */
function voiceOf(kind: 'cpu' | 'gpu'): Required<Pick<LinkOptions, 'say' | 'progress'>> {
  const name = TENSORFLOW_PACKAGES[kind].split('/')[1]!;
  const clear = process.stderr.isTTY ? '\r\x1b[K' : '';
  return {
    say: (line) => void process.stderr.write(`${clear}${name}: ${line}\n`),
    progress: (fetched, total) => {
      if (clear) process.stderr.write(`${clear}${name}: ${megabytes(fetched)} of about ${megabytes(total)}`);
    },
  };
}
