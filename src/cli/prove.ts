/** `tandem prove`: tries every claim about this machine's cards, in ten minutes at most, and writes a record and a page of what became of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { deviceByNumber } from '../engine/device.js';
import { EXIT, TandemError } from '../errors.js';
import { checkReportFiles, writeReportFiles } from '../job/report-files.js';
import { Command as Tandem } from '../prove/command.js';
import { openSetting } from '../prove/open-setting.js';
import { proofRecord } from '../prove/proof-record.js';
import { claimsFor, counted, type Proven, prove } from '../prove/prove.js';
import { printable } from './fail.js';

interface ProveFlags {
  readonly minutes: string;
  readonly device: string;
  readonly provider?: string;
  readonly output: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

const MOST_MINUTES = 10;
const FEWEST_MINUTES = 0.5;

/** The share of the time that is kept for the sustained run, with its start. */
const KEPT_FOR_LAST = 0.3;

export function proveCommand(): Command {
  return new Command('prove')
    .description("try every claim about this machine's cards, and write a page of what became of them")
    .option('--minutes <n>', `the time that it may take, ${FEWEST_MINUTES} to ${MOST_MINUTES}`, String(MOST_MINUTES))
    .option('--device <gpu>', 'the card: gpu, gpu:1, gpu:"RTX 4090"', 'gpu')
    .option('--provider <name>', 'only this provider: cuda, webgpu, directml, coreml (default: each that works)')
    .option('-o, --output <file.html>', 'the page; the record lies beside it with .json', 'tandem-prove.html')
    .option('-f, --force', 'write over files that exist')
    .option('--json', 'print the record on stdout')
    .action(async (flags: ProveFlags) => {
      process.exitCode = await run(flags);
    });
}

async function run({ minutes, device, provider, output, force, json }: ProveFlags): Promise<number> {
  const seconds = 60 * minutesOf(minutes);
  const card = deviceByNumber(device);
  if (card === 'cpu') throw usage('--device cpu is no card', 'name a card: --device gpu');
  const files = { report: output, record: `${output.replace(/\.html$/, '')}.json` };
  await checkReportFiles(files, { force, taken: [] });
  const folder = mkdtempSync(join(tmpdir(), 'tandem-prove-'));
  const end = performance.now() + 1000 * seconds;
  let until = end;
  const starts = (always: readonly string[]) =>
    new Tandem({ file: process.argv[1]!, folder, until: () => until, always });
  try {
    process.stderr.write(`tandem: proving, ${minutes} minutes at most\n`);
    const { setting, doctor } = await openSetting({ device: card, provider, seconds }, starts);
    print(`${setting.providers.map(({ name, deviceName }) => `${name} on ${deviceName}`).join('; ')}\n`, json);
    // The claims before the last leave it its time.
    const others = (end - performance.now()) / 1000 - KEPT_FOR_LAST * seconds;
    const limit = (left: number | null) => {
      until = left === null ? end : performance.now() + 1000 * left;
    };
    const all = await prove(claimsFor(setting, doctor), { seconds: others, limit, onProven: shown(json) });
    const record = proofRecord(setting, all, ['prove', ...process.argv.slice(3)]);
    await writeReportFiles(files, record);
    if (json) process.stdout.write(`${JSON.stringify(record)}\n`);
    const { held, 'did not hold': not, 'not tried': untried } = counted(all);
    print(
      `\n${held} held, ${not} did not hold, ${untried} not tried; to send to the project: ${files.report} and ${files.record}\n`,
      json,
    );
    return not === 0 ? EXIT.ok : EXIT.unexpected;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function shown(json?: boolean): (proven: Proven) => void {
  return ({ number, outcome, claim, figures }) => {
    const head = `${String(number).padStart(2)}  ${outcome.padEnd(12)}  ${claim}`;
    print(`${head}\n${' '.repeat(18)}${printable(figures)}\n`, json);
  };
}

/** With --json, stdout has the record alone. */
function print(text: string, json = false): void {
  (json ? process.stderr : process.stdout).write(text);
}

function minutesOf(text: string): number {
  const minutes = Number(text);
  if (minutes >= FEWEST_MINUTES && minutes <= MOST_MINUTES) return minutes;
  throw usage(
    `--minutes ${text} is not a number from ${FEWEST_MINUTES} to ${MOST_MINUTES}`,
    'for example: --minutes 5',
  );
}

function usage(what: string, remedy: string): TandemError {
  return new TandemError('TANDEM_USAGE', what, { remedy });
}
