/** Starts the command line as a person does, and looks at what it says and what it leaves behind. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';

/** The published program, which starts faster than the compiled sources. */
export const TANDEM = resolve(import.meta.dirname, '../../bundle/src/cli/tandem.js');

/** An engine of the test's own shares the modules of these only. */
const SOURCES = resolve(import.meta.dirname, '../../src/cli/tandem.js');

/** The program for a command with these variables. */
export const programFor = (env: RunOptions['env']): string =>
  env?.TANDEM_ENGINE_MODULE === undefined ? TANDEM : SOURCES;

export interface RunOptions {
  /** Working directory; relative paths, and tandem.config.json, are looked for there. */
  readonly cwd: string;
  /** `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What stands on stdin; nothing at all by default. */
  readonly stdin?: string | Buffer;
  /** Leads a process group of its own, as a command that a shell starts does. */
  readonly detached?: boolean;
}

export interface Ended {
  /** As a shell tells it: 128 and the signal's number for a process that a signal has ended. */
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A command that runs; `ended` also sees to it that no process of it is left. */
export interface Started {
  readonly child: ChildProcess;
  /** Resolves when stderr has said `text`. */
  says(text: string): Promise<void>;
  readonly ended: Promise<Ended>;
}

/** Ends when the command has ended. */
export function tandem(args: readonly string[], options: RunOptions): Promise<Ended> {
  const { child, ended } = start(process.execPath, [programFor(options.env), ...args], options);
  child.stdin!.end(options.stdin);
  return ended;
}

/** Any program that starts tandem, with stdin open. */
export function start(program: string, args: readonly string[], { cwd, env, detached }: RunOptions): Started {
  const mark = `TANDEM_TEST_MARK=${randomUUID()}`;
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TANDEM_'));
  const [name, value] = mark.split('=') as [string, string];
  // Most tests are not about planning, which measures.
  const variables = { ...Object.fromEntries(inherited), TANDEM_PLAN: 'quick', ...env, [name]: value };
  const child = spawn(program, args, { cwd, env: variables, detached });
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk) => stdout.push(chunk));
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  // It may end without having read what it was given.
  child.stdin.on('error', () => {});
  const ended = new Promise<Ended>((done, fail) => {
    child.on('error', fail).on('close', (code, signal) => {
      const status = code ?? 128 + constants.signals[signal!];
      try {
        waitForOthers(mark);
        done({ status, stdout: Buffer.concat(stdout), stderr });
      } catch (error) {
        fail(error);
      }
    });
  });
  const says = (text: string) =>
    new Promise<void>((done, fail) => {
      const look = () => stderr.includes(text) && done();
      child.stderr.on('data', look);
      child.on('close', () => fail(new Error(`it ended without "${text}": ${stderr}`)));
      look();
    });
  return { child, says, ended };
}

/** Stages see that their coordinator has gone, and end; one that stays makes this throw. */
function waitForOthers(mark: string): void {
  if (!existsSync('/proc/self/environ')) return;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(mark)))
    execFileSync('tail', ['-f', '-s', '0.05', `--pid=${pid}`, '/dev/null'], { timeout: 30_000 });
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

/** What is wrong comes as `tandem: what and why [CODE]`, then what to do; never a stack. */
export function assertFails(
  { status, stdout, stderr }: Ended,
  expected: { status: number; code: string; says?: RegExp },
): void {
  const errors = stderr.split('\n').filter((line) => line.startsWith('tandem: '));
  assert.equal(errors.length, 1, stderr);
  assert.ok(errors[0]!.endsWith(` [${expected.code}]`), stderr);
  assert.equal(status, expected.status, stderr);
  assert.match(stderr, /\n {8}\S.*\n$/, 'it must say what to do');
  assert.doesNotMatch(stderr, /^\s+at .*(node:|\.[cm]?js:)/m);
  if (expected.says) assert.match(stderr, expected.says);
  assert.equal(stdout.length, 0);
}
