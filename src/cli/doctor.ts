/** `tandem doctor`: what this machine can run, found by trying it, and the line to type for what is missing. */
import { Command } from 'commander';
import { EXIT } from '../errors.js';
import { type Room, readMachine } from '../plan/machine.js';
import { type NvidiaDriver, readNvidiaDriver } from '../plan/nvidia.js';
import { COMPILER_REMEDY, findCompiler } from '../setup/compiler.js';
import { findPython, PYTHON_REMEDY } from '../setup/python.js';
import { formatBytes } from './bytes.js';
import { checkProviders } from './check-providers.js';
import { printable } from './fail.js';
import { formatTable } from './table.js';

/** What `--json` prints. */
export interface Diagnosis {
  readonly schema: 1;
  /** At least one engine works. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

export interface Check {
  readonly name: string;
  /** `missing` stops what needs it; `note` is worth knowing and stops nothing. */
  readonly state: 'ok' | 'missing' | 'note';
  readonly found: string;
  /** What to type; absent where nothing is to be done. */
  readonly remedy?: string;
  /** The same in numbers and names, for programs. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

const SMALL_SHARED_MEMORY = 256 * 2 ** 20;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('show what this machine can run, and what to type for the rest')
    .option('--json', 'print one JSON object')
    .action(async ({ json }: { json?: boolean }) => {
      const diagnosis = await diagnose();
      process.stdout.write(`${json ? JSON.stringify(diagnosis, null, 2) : formatDiagnosis(diagnosis)}\n`);
      process.exitCode = diagnosis.ok ? EXIT.ok : EXIT.impossible;
    });
}

/** Look at everything. */
export async function diagnose(): Promise<Diagnosis> {
  const driver = readNvidiaDriver();
  const engines = await checkProviders(driver);
  const checks = [
    checkNode(),
    ...checkMachine(),
    ...engines,
    checkDriver(driver),
    await checkPython(),
    await checkCompiler(),
  ];
  return { schema: 1, ok: engines.some(({ state }) => state === 'ok'), checks };
}

export function formatDiagnosis({ ok, checks }: Diagnosis, style = paint(process.stdout)): string {
  const rows = checks.map(({ name, state, found }) => [name, state, printable(found)]);
  const lines = formatTable([{ title: 'what' }, { title: 'state' }, { title: 'found' }], rows).split('\n');
  const table = lines.map((line, row) => style(line, row === 0 ? 'ok' : checks[row - 1]!.state));
  const remedies = checks.flatMap(({ name, remedy }) => (remedy ? [`  ${name}: ${remedy}`] : []));
  const advice = remedies.length > 0 ? ['', 'What to type:', ...remedies] : [];
  const verdict = ok ? [] : ['', 'No engine works here yet: tandem cannot run a model.'];
  return [...table, ...advice, ...verdict].join('\n');
}

/** Colours for a terminal, none for anything else or where NO_COLOR asks. */
function paint(stream: { isTTY?: boolean }): (line: string, state: Check['state']) => string {
  if (!stream.isTTY || process.env.NO_COLOR || process.env.TERM === 'dumb') return (line) => line;
  const colours = { ok: '', note: '\x1b[33m', missing: '\x1b[31m' };
  return (line, state) => (colours[state] ? `${colours[state]}${line}\x1b[0m` : line);
}

function checkNode(): Check {
  const { node } = process.versions;
  const facts = { version: node, platform: process.platform, arch: process.arch };
  const found = `${node} on ${process.platform} ${process.arch}`;
  const [major, minor] = node.split('.').map(Number) as [number, number];
  if (major > 20 || (major === 20 && minor >= 19)) return { name: 'node', state: 'ok', found, facts };
  return { name: 'node', state: 'missing', found, remedy: 'install Node 20.19 or newer', facts };
}

function checkMachine(): Check[] {
  const { cores, memory, memoryLimit, sharedMemory } = readMachine();
  const limit = memoryLimit === 'cgroup' ? ' (the limit of this container)' : '';
  return [
    { name: 'cores', state: 'ok', found: String(cores), facts: { cores } },
    {
      name: 'memory',
      state: 'ok',
      found: `${formatRoom(memory)}${limit}`,
      facts: { totalBytes: memory.total, freeBytes: memory.free, limit: memoryLimit },
    },
    checkSharedMemory(sharedMemory),
  ];
}

function checkSharedMemory(room: Room | null): Check {
  const name = 'shared memory';
  if (room === null)
    return { name, state: 'note', found: 'no /dev/shm: stages in processes pass rows through a temporary file' };
  const facts = { totalBytes: room.total, freeBytes: room.free };
  if (room.free >= SMALL_SHARED_MEMORY) return { name, state: 'ok', found: `${formatRoom(room)} in /dev/shm`, facts };
  const remedy = 'in a container: docker run --shm-size=2g …';
  return { name, state: 'note', found: `only ${formatRoom(room)} in /dev/shm`, remedy, facts };
}

function checkDriver(driver: NvidiaDriver | null): Check {
  const name = 'nvidia driver';
  if (driver === null) return { name, state: 'note', found: 'none: no NVIDIA card can be used' };
  const cards = driver.cards.map((card) => `${card.name}${card.memory ? `, ${formatRoom(card.memory)}` : ''}`);
  return { name, state: 'ok', found: [driver.version, ...cards].join('; '), facts: { ...driver } };
}

/** Python and the compiler are needed by `tandem setup` only. */
async function checkPython(): Promise<Check> {
  const name = 'python';
  const python = await findPython();
  if (python === null) return { name, state: 'note', found: 'none; setup needs it', remedy: PYTHON_REMEDY };
  const { version, pip } = python;
  if (pip === null)
    return { name, state: 'note', found: `${version} without pip; setup needs it`, remedy: PYTHON_REMEDY };
  return { name, state: 'ok', found: `${version} with pip ${pip}`, facts: { version, pip } };
}

async function checkCompiler(): Promise<Check> {
  const name = 'compiler';
  const compiler = await findCompiler();
  if (compiler === null) return { name, state: 'note', found: 'none; setup needs it', remedy: COMPILER_REMEDY };
  return { name, state: 'ok', found: compiler.version, facts: { ...compiler } };
}

function formatRoom({ total, free }: Room): string {
  return `${formatBytes(free)} free of ${formatBytes(total)}`;
}
