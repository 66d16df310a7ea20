/** The command line: one file a verb. */
import { Command, CommanderError } from 'commander';
import { EXIT } from '../errors.js';
import { outputError } from '../output/error.js';
import { DESCRIPTION, VERSION } from '../package.js';
import { leaveProcess } from '../pool/leave-process.js';
import { hasStuckThreads } from '../pool/stuck-threads.js';
import type { TaskName } from '../tasks/task-request.js';
import { printError } from './fail.js';
import { stalled } from './signals.js';
import { usageError } from './usage-error.js';

/** In the order of the help. Each is loaded on use: loading all would cost every start a tenth of a second. */
const VERBS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => {
    const { runCommand } = await import('./run-flags.js');
    return runCommand(async (model, flags) => {
      process.exitCode = await (await import('./run-or-shard.js')).run(model, flags);
    });
  },
  embed: () => taskVerb('embed'),
  classify: () => taskVerb('classify'),
  rerank: () => taskVerb('rerank'),
  generate: async () => {
    const { generateCommand } = await import('./generate-flags.js');
    return generateCommand(async (model, prompt, flags) => {
      process.exitCode = await (await import('./generate.js')).generate(model, prompt, flags);
    });
  },
  resume: async () => (await import('./resume.js')).resumeCommand(),
  submit: async () => (await import('./submit.js')).submitCommand(),
  worker: async () => (await import('./worker.js')).workerCommand(),
  cancel: async () => (await import('./cancel.js')).cancelCommand(),
  status: async () => (await import('./status.js')).statusCommand(),
  merge: async () => (await import('./merge.js')).mergeCommand(),
  report: async () => (await import('./report.js')).reportCommand(),
  inspect: async () => (await import('./inspect.js')).inspectCommand(),
  plan: async () => (await import('./plan.js')).planCommand(),
  profile: async () => (await import('./plan.js')).profileCommand(),
  bench: async () => (await import('./bench.js')).benchCommand(),
  doctor: async () => (await import('./doctor.js')).doctorCommand(),
  prove: async () => (await import('./prove.js')).proveCommand(),
  setup: async () => (await import('./setup.js')).setupCommand(),
};

async function taskVerb(name: TaskName): Promise<Command> {
  const { taskCommand } = await import('./task-flags.js');
  return taskCommand(name, async (model, flags) => {
    process.exitCode = await (await import('./task.js')).runTask(name, model, flags);
  });
}

/** Runs the command line in a process of its own: the exit status becomes that of the process. */
export async function runProcess(): Promise<void> {
  watchStreams();
  let ended = false;
  // Node exits in silence when no work is left, even if a promise is still pending.
  process.on('exit', () => {
    if (!ended && !process.exitCode) process.exitCode = printError(stalled());
  });
  process.exitCode = await main(process.argv.slice(2));
  ended = true;
  // A thread in native code cannot be ended from this process; all output has been written.
  if (hasStuckThreads()) leaveProcess(process.exitCode);
}

/** Parses and runs one command, and returns its exit status. Errors are printed. */
export async function main(args: readonly string[]): Promise<number> {
  process.exitCode = undefined;
  const program = await programFor(args);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    return exitCodeOf(error, program, args);
  }
  return Number(process.exitCode ?? EXIT.ok);
}

/** With the verb that is asked for, or with all of them. */
async function programFor([asked = '']: readonly string[]): Promise<Command> {
  const program = new Command('tandem')
    .description(DESCRIPTION)
    .version(VERSION)
    .addHelpText(
      'after',
      `
For example:
  tandem inspect model.json
  tandem run model.json --input rows.npy --output out.npy --stage gpu --stage cpu
  tandem doctor`,
    );
  const isOne = Object.hasOwn(VERBS, asked);
  const verbs = isOne ? [asked] : asked === '--version' || asked === '-V' ? [] : Object.keys(VERBS);
  for (const verb of verbs) program.addCommand(await VERBS[verb]!());
  for (const command of [program, ...program.commands])
    command.exitOverride().configureOutput({ outputError: () => {} });
  return program;
}

/** Commander also throws for help and --version (status 0), and after it has printed the help because there was no verb. */
function exitCodeOf(error: unknown, program: Command, args: readonly string[]): number {
  if (!(error instanceof CommanderError)) return printError(error);
  if (error.exitCode === 0) return EXIT.ok;
  return error.code === 'commander.help' ? EXIT.usage : printError(usageError(error, program, args));
}

/** A closed pipe (`tandem inspect … | head`) is no error; a full disk is one. A run handles the output of its rows itself. */
function watchStreams(): void {
  let failure: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', (error) => {
    failure ??= error;
  });
  process.stderr.on('error', () => {});
  process.on('exit', () => {
    if (failure && failure.code !== 'EPIPE' && !process.exitCode) {
      process.exitCode = printError(outputError('stdout', failure));
    }
  });
}
