#!/usr/bin/env node
/** The command line: one file a verb. */
import { Command, CommanderError } from 'commander';
import { EXIT, TandemError } from '../errors.js';
import { outputError } from '../job/output-error.js';
import { DESCRIPTION, VERSION } from '../package.js';
import { hasStuckThreads } from '../pool/stuck-threads.js';
import { printError } from './fail.js';

/** In the order of the help. Each is loaded when it is asked for: all of them would cost every start a tenth of a second. */
const VERBS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => {
    const { runCommand } = await import('./run-flags.js');
    return runCommand(async (model, flags) => {
      process.exitCode = await (await import('./run.js')).run(model, flags);
    });
  },
  resume: async () => (await import('./resume.js')).resumeCommand(),
  status: async () => (await import('./status.js')).statusCommand(),
  report: async () => (await import('./report.js')).reportCommand(),
  inspect: async () => (await import('./inspect.js')).inspectCommand(),
  plan: async () => (await import('./plan.js')).planCommand(),
  profile: async () => (await import('./plan.js')).profileCommand(),
  bench: async () => (await import('./bench.js')).benchCommand(),
  doctor: async () => (await import('./doctor.js')).doctorCommand(),
  setup: async () => (await import('./setup.js')).setupCommand(),
};

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

const [asked = ''] = process.argv.slice(2);
const isOne = Object.hasOwn(VERBS, asked);
const verbs = isOne ? [asked] : asked === '--version' || asked === '-V' ? [] : Object.keys(VERBS);
for (const verb of verbs) program.addCommand(await VERBS[verb]!());
for (const command of [program, ...program.commands]) command.exitOverride().configureOutput({ outputError: () => {} });

watchStreams();

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
// Neither this process nor anybody in it can end a thread that is deep in native code; what had to be said has been said.
if (hasStuckThreads()) process.kill(process.pid, 'SIGKILL');

/** Commander also throws for help and --version (status 0), and when it has shown the help because no verb was named. */
function exitCodeOf(error: unknown): number {
  if (!(error instanceof CommanderError)) return printError(error);
  if (error.exitCode === 0) return EXIT.ok;
  return error.code === 'commander.help' ? EXIT.usage : printError(usageError(error));
}

/** Commander's words for a wrong command line, `error: unknown option '--dept'\n(Did you mean --depth?)`, as an error of ours. */
function usageError({ message }: CommanderError): TandemError {
  const [problem = '', hint] = message.replace(/^error: /, '').split('\n');
  const verb = program.commands.find((command) => command.name() === process.argv[2]);
  const help = `see: tandem ${verb ? `${verb.name()} ` : ''}--help`;
  return new TandemError('TANDEM_USAGE', problem, {
    remedy: hint?.replace(/^\(Did you mean (.*)\?\)$/, 'did you mean $1?') ?? help,
  });
}

/** What is printed may have no reader any more (`tandem inspect … | head`), which is no error; a full disk is one. A run sees to its rows itself. */
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
