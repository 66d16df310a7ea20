#!/usr/bin/env node
/** The command line: one file a verb. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT } from '../errors.js';
import { doctorCommand } from './doctor.js';
import { printError } from './fail.js';
import { inspectCommand } from './inspect.js';
import { runCommand } from './run.js';
import { setupCommand } from './setup.js';

const { version, description } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));

const program = new Command('tandem')
  .description(description)
  .version(version)
  .showSuggestionAfterError()
  .addHelpText(
    'after',
    `
For example:
  tandem inspect model.json
  tandem run model.json --input rows.npy --output out.npy --stage gpu --stage cpu
  tandem doctor`,
  );

for (const command of [runCommand(), inspectCommand(), doctorCommand(), setupCommand()]) program.addCommand(command);
for (const command of [program, ...program.commands]) command.exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  // Commander has printed its own usage errors; help and --version arrive here with status 0.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  else process.exitCode = printError(error);
}
