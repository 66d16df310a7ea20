/** `tandem setup`: installs an engine's npm packages and native library, which `npm install tandem` leaves out. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import { missingPackages, PROVIDERS, setupRemedy } from '../engine/tfjs/installed.js';
import { asTandemError, TandemError } from '../errors.js';
import { readNvidiaDriver } from '../machine/cards/nvidia.js';
import { formatInstall, installCommand, installPackages } from '../setup/install-packages.js';
import {
  type LinkOptions,
  type LinkResult,
  linkTensorflow,
  megabytes,
  TENSORFLOW_PACKAGES,
} from '../setup/link-tensorflow.js';
import { missingOptionalPackages, OPTIONAL_PACKAGES } from '../setup/optional-packages.js';
import { probeEngine } from '../setup/probe.js';
import { setUpCuda } from '../setup/set-up-cuda.js';
import { setUpOpenvino } from '../setup/set-up-openvino.js';
import { printError } from './fail.js';
import { formatChoices } from './setup-choices.js';

export interface SetupOptions {
  /** true: link tfjs-node-gpu, and fail if that fails; false: do not; undefined: try if there is an NVIDIA driver. */
  readonly gpu?: boolean;
  readonly force?: boolean;
  readonly allowCpuLibrary?: boolean;
  /** Print nothing if it is already set up. */
  readonly quiet?: boolean;
}

interface Flags extends SetupOptions {
  /** Whether missing npm packages may be installed. */
  readonly install: boolean;
}

export function setupCommand(): Command {
  return new Command('setup')
    .description("install an engine's packages and native library, which npm install tandem leaves out")
    .addArgument(
      new Argument('[provider]', 'what to set up; left out: what this machine could use').choices([
        ...PROVIDERS,
        'cuda',
        'openvino',
        ...Object.keys(OPTIONAL_PACKAGES),
      ]),
    )
    .option('--gpu', 'also for the GPU (default: if there is an NVIDIA driver)')
    .option('--no-gpu', 'for the CPU only')
    .option('--no-install', 'install no npm packages, only name those that are missing')
    .option('--force', 'link again even if it works')
    .option('--allow-cpu-library', 'give the GPU package the CPU library, for tests')
    .action(async (provider: string | undefined, flags: Flags) => {
      if (provider === undefined) {
        process.stdout.write(`${formatChoices(readNvidiaDriver())}\n`);
        return;
      }
      if (provider === 'cuda') return setUpOnnxruntimeCuda(flags);
      if (provider === 'openvino') return fetchOpenvino(flags);
      const options = provider === 'tensorflow-gpu' ? { ...flags, gpu: true } : flags;
      const bringing = await bringPackages(provider, options);
      if (bringing !== null) process.exitCode = bringing;
      else if (provider in OPTIONAL_PACKAGES)
        process.stderr.write(`tandem: ${provider}: ${OPTIONAL_PACKAGES[provider]!.join(', ')} installed\n`);
      else if (provider.startsWith('tensorflow')) await setUpTensorflow(options);
      else await tryProvider(provider);
    });
}

/** Throws TANDEM_SETUP_FAILED. */
async function setUpOnnxruntimeCuda({ force }: Flags): Promise<void> {
  const { say, progress } = voiceNamed('onnxruntime-node');
  const { version, deviceName, kept } = await setUpCuda({ force, say, progress });
  say(`${kept ? 'set up already' : 'set up'}: ONNX Runtime ${version} computes on ${deviceName}`);
}

/** Throws TANDEM_SETUP_FAILED. */
export async function fetchOpenvino({ force, quiet }: SetupOptions): Promise<void> {
  const { say, progress } = voiceNamed('openvino');
  const { version, deviceName, kept } = await setUpOpenvino({ force, say, progress });
  if (kept && quiet) return;
  say(`${kept ? 'set up already' : 'set up'}: OpenVINO ${version} computes on ${deviceName}`);
}

/**
 * Installs missing packages and does the rest in a new process, which can load them. `null` if nothing was missing, else the new process's exit
 * status. Throws TANDEM_SETUP_FAILED, and TANDEM_ENGINE_MISSING with --no-install.
 */
async function bringPackages(provider: string, { gpu, install }: Flags): Promise<number | null> {
  const wantsGpu = provider === 'tensorflow' && (gpu ?? readNvidiaDriver() !== null);
  const providers = wantsGpu ? ['tensorflow', 'tensorflow-gpu'] : [provider];
  const missing = [...new Set(providers.flatMap((each) => missingOptionalPackages(each) ?? missingPackages(each)))];
  if (missing.length === 0) return null;
  const command = install ? await installCommand(missing) : null;
  if (command === null) {
    const remedy = install ? 'in a clone of tandem: npm run setup' : remedyOf(provider);
    throw new TandemError('TANDEM_ENGINE_MISSING', `not installed: ${missing.join(', ')}`, { remedy });
  }
  process.stderr.write(`tandem: ${formatInstall(command)}\n`);
  await installPackages(command);
  // Some package managers move tandem when a peer is installed, so it is looked up again.
  const found = createRequire(join(command.cwd, 'package.json')).resolve('tandem/package.json');
  const { bin } = createRequire(found)(found) as { bin: { tandem: string } };
  const again = [join(found, '..', bin.tandem), ...process.argv.slice(2), '--no-install'];
  return spawnSync(process.execPath, again, { stdio: 'inherit' }).status ?? 1;
}

function remedyOf(provider: string): string {
  const packages = missingOptionalPackages(provider);
  return packages ? `run: npm install --ignore-scripts ${packages.join(' ')}` : setupRemedy(provider);
}

/** Backends that need no linking. Throws TANDEM_SETUP_FAILED. */
async function tryProvider(provider: string): Promise<void> {
  const probe = await probeEngine('tfjs', provider);
  if (!probe.works) {
    throw new TandemError(
      'TANDEM_SETUP_FAILED',
      `the packages of ${provider} are here, but it does not work: ${probe.reason}`,
      {
        remedy: 'npx tandem doctor shows what else is missing',
      },
    );
  }
  process.stderr.write(`tandem: ${provider} works: ${probe.version}, computes on ${probe.deviceName}\n`);
}

/** Links the TensorFlow packages and prints each step and its time on stderr. Throws TANDEM_SETUP_FAILED, TANDEM_ENGINE_MISSING. */
export async function setUpTensorflow({ gpu, quiet, ...options }: SetupOptions): Promise<void> {
  await report('cpu', () => linkTensorflow({ kind: 'cpu', force: options.force, ...voiceOf('cpu') }), quiet);
  if (!(gpu ?? readNvidiaDriver() !== null)) return;
  try {
    await report('gpu', () => linkTensorflow({ kind: 'gpu', ...options, ...voiceOf('gpu') }), quiet);
  } catch (error) {
    if (gpu) throw error;
    // --gpu was not given: the CPU still works.
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

/** Lines on stderr; the download's progress only on a terminal, on a line that is erased. */
function voiceOf(kind: 'cpu' | 'gpu'): Required<Pick<LinkOptions, 'say' | 'progress'>> {
  return voiceNamed(TENSORFLOW_PACKAGES[kind].split('/')[1]!);
}

function voiceNamed(name: string): Required<Pick<LinkOptions, 'say' | 'progress'>> {
  const clear = process.stderr.isTTY ? '\r\x1b[K' : '';
  return {
    say: (line) => void process.stderr.write(`${clear}${name}: ${line}\n`),
    progress: (fetched, total) => {
      if (clear) process.stderr.write(`${clear}${name}: ${megabytes(fetched)} of about ${megabytes(total)}`);
    },
  };
}
