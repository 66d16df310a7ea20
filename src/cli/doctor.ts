/** `tandem doctor`: what this machine can run, found by trying it, and the line to type for what is missing. */
import { Command } from 'commander';
import { EXIT } from '../errors.js';
import type { Card } from '../machine/cards/card.js';
import { readCards } from '../machine/cards/cards.js';
import { type NvidiaDriver, readNvidiaDriver } from '../machine/cards/nvidia.js';
import { type Capacity, readMachine } from '../machine/machine.js';
import { isNode, oldNode, runtimeName } from '../runtime.js';
import { COMPILER_REMEDY, findCompiler } from '../setup/compiler.js';
import { findPython, PYTHON_REMEDY } from '../setup/python.js';
import { formatBytes } from './bytes.js';
import { checkProviders } from './check-providers.js';
import type { Check, Diagnosis } from './diagnosis.js';
import { printable } from './fail.js';
import { formatTable } from './table.js';

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
    ...checkCards(readCards()),
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
  const ending = ok ? [] : ['', 'No engine works here yet: tandem cannot run a model.'];
  return [...table, ...advice, ...ending].join('\n');
}

/** Colours for a terminal, unless NO_COLOR is set. */
function paint(stream: { isTTY?: boolean }): (line: string, state: Check['state']) => string {
  if (!stream.isTTY || process.env.NO_COLOR || process.env.TERM === 'dumb') return (line) => line;
  const colours = { ok: '', note: '\x1b[33m', missing: '\x1b[31m' };
  return (line, state) => (colours[state] ? `${colours[state]}${line}\x1b[0m` : line);
}

/** A runtime that is compatible with Node runs stages as threads, not as processes. */
function checkNode(): Check {
  const { node } = process.versions;
  const facts = { runtime: runtimeName(), version: node, platform: process.platform, arch: process.arch };
  const found = `${isNode() ? node : runtimeName()} on ${process.platform} ${process.arch}`;
  const problem = oldNode(node);
  if (problem) return { name: 'node', state: 'missing', found, remedy: problem.remedy, facts };
  if (isNode()) return { name: 'node', state: 'ok', found, facts };
  const remedy = 'stages run as threads only (--isolation thread); for processes and memory= run tandem with Node';
  return { name: 'node', state: 'note', found, remedy, facts };
}

function checkMachine(): Check[] {
  const { cores, memory, memoryLimit, sharedMemory } = readMachine();
  const limit = memoryLimit === 'cgroup' ? ' (the limit of this container)' : '';
  return [
    { name: 'cores', state: 'ok', found: String(cores), facts: { cores } },
    {
      name: 'memory',
      state: 'ok',
      found: `${formatCapacity(memory)}${limit}`,
      facts: { totalBytes: memory.total, freeBytes: memory.free, limit: memoryLimit },
    },
    checkSharedMemory(sharedMemory),
  ];
}

function checkSharedMemory(capacity: Capacity | null): Check {
  const name = 'shared memory';
  if (capacity === null)
    return { name, state: 'note', found: 'no /dev/shm: stages in processes pass rows through a temporary file' };
  const facts = { totalBytes: capacity.total, freeBytes: capacity.free };
  if (capacity.free >= SMALL_SHARED_MEMORY)
    return { name, state: 'ok', found: `${formatCapacity(capacity)} in /dev/shm`, facts };
  const remedy = 'in a container: docker run --shm-size=2g …';
  return { name, state: 'note', found: `only ${formatCapacity(capacity)} in /dev/shm`, remedy, facts };
}

function checkDriver(driver: NvidiaDriver | null): Check {
  const name = 'nvidia driver';
  if (driver === null) return { name, state: 'note', found: 'none: no NVIDIA card can be used' };
  const { version, fault, cards } = driver;
  const facts = { version, cards: cards.length };
  if (fault)
    return {
      name,
      state: 'missing',
      found: [version, fault.why].filter(Boolean).join(': '),
      remedy: fault.remedy,
      facts,
    };
  return { name, state: 'ok', found: version, facts };
}

/** One line for each card, by the name that `--stage` takes. */
function checkCards(cards: readonly Card[]): Check[] {
  return cards.map((card, n) => {
    const { kind, memory, hasDisplay, driver, bus, cuda } = card;
    const said = [
      card.name,
      kind,
      memory ? formatCapacity(memory) : kind === 'integrated' ? "in the machine's memory" : 'memory not reported',
      ...(cuda?.computeCapability ? [`compute capability ${cuda.computeCapability}`] : []),
      ...(hasDisplay ? ['drives a screen'] : []),
      `driver ${driver}`,
      ...(bus ? [`PCI ${bus}`] : []),
    ];
    return { name: n === 0 ? 'gpu' : `gpu:${n}`, state: 'ok', found: said.join('; '), facts: { ...card } };
  });
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

function formatCapacity({ total, free }: Capacity): string {
  return `${formatBytes(free)} free of ${formatBytes(total)}`;
}
