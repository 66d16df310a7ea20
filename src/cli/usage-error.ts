/** Turns commander's message for a wrong command line into a coded error with what was most likely meant. */
import { existsSync } from 'node:fs';
import type { Command, CommanderError } from 'commander';
import { TandemError } from '../errors.js';
import { shellWord } from '../shell-word.js';
import { flagSynonym, verbSynonym } from './synonyms.js';

/** `args` is what was typed after the program's name. */
export function usageError({ message }: CommanderError, program: Command, args: readonly string[]): TandemError {
  // `error: unknown option '--dept'\n(Did you mean --depth?)`
  const [problem = '', hint] = message.replace(/^error: /, '').split('\n');
  const [, kind, name = ''] = /^unknown (option|command) '(.*)'$/.exec(problem) ?? [];
  const verb = program.commands.find((command) => command.name() === args[0]);
  const advice =
    (kind === 'option' ? optionAdvice(name, verb, program, args) : null) ??
    (kind === 'command' ? (verbSynonym(name) ?? modelAdvice(name, args)) : null) ??
    hint?.replace(/^\(Did you mean (.*)\?\)$/, 'did you mean $1?') ??
    (/^too many arguments/.test(problem) ? excessAdvice(verb, args) : null);
  return new TandemError('TANDEM_USAGE', problem, {
    remedy: advice ?? `see: tandem ${verb ? `${verb.name()} ` : ''}--help`,
  });
}

function optionAdvice(
  typed: string,
  verb: Command | undefined,
  program: Command,
  args: readonly string[],
): string | null {
  const [name = '', given] = typed.split(/=(.*)/s);
  if (!verb) {
    if (/^-{1,2}v(ersion)?$/i.test(name)) return 'did you mean --version?';
    const later = program.commands.find((command) => args.includes(command.name()));
    return later ? `the verb comes first: tandem ${later.name()} … ${name}` : null;
  }
  const found = flagSynonym(name);
  if (!found || (found.flag !== null && !verb.options.some(({ long }) => long === found.flag))) return null;
  const next = args[args.indexOf(typed) + 1];
  return found.advice(given ?? (next !== undefined && !next.startsWith('-') ? shellWord(next) : ''));
}

/** A model in the place of the verb: `run` was forgotten. */
function modelAdvice(name: string, args: readonly string[]): string | null {
  if (!existsSync(name) && !/[./\\]/.test(name)) return null;
  return `the verb comes first: tandem run ${args.map(shellWord).join(' ')}`;
}

function excessAdvice(verb: Command | undefined, args: readonly string[]): string | null {
  if (!verb?.options.some(({ long }) => long === '--input')) return null;
  if (args.some((arg) => arg === '-i' || arg.startsWith('--input'))) {
    return 'each file has a flag of its own: --input FILE; put a pattern in quotes, so that the shell does not expand it';
  }
  return `rows come with --input, results go to --output: tandem ${verb.name()} MODEL --input ROWS --output RESULTS`;
}
