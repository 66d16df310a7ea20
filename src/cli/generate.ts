/** `tandem generate`: prompts of a file, or one that was typed, to the answers of a language model. */

import { EXIT, TandemError } from '../errors.js';
import { formatRows, grouped } from '../grouped-digits.js';
import { answerOne } from '../job/generate/answer-one.js';
import { closeGenerate, type OpenedGenerate, performGenerate } from '../job/generate/generate-file.js';
import type { GenerateRequest, GenerateSettings, ModelRequest } from '../job/generate/generate-request.js';
import type { GenerateSummary } from '../job/generate/generate-summary.js';
import type { RunSettings } from '../job/run-request.js';
import { STANDARD_STREAM } from '../rows/format.js';
import type { SamplingSettings } from '../tasks/generate/sampling-settings.js';
import { readTextFile } from '../text-file.js';
import { settingsOf } from './config.js';
import { printable } from './fail.js';
import { FailedRows, formatFailure } from './failed-rows.js';
import type { GenerateFlags } from './generate-flags.js';
import { formatRate, ProgressBar } from './progress.js';
import { exitAfterError, exitOf, printComplete } from './run.js';
import { stopOnSignals } from './signals.js';

/** A job, and what is printed of it. */
export interface GenerateCall extends GenerateRequest {
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** Runs or resumes the job, or answers one prompt, and returns the exit status. */
export async function generate(model: string, prompt: string | undefined, flags: GenerateFlags): Promise<number> {
  const { column, keep, maxErrors, allowErrors, stages } = settingsOf({
    ...{ column: flags.column, keep: flags.keep, maxErrors: flags.maxErrors, allowErrors: flags.allowErrors },
    stages: flags.stage,
  } as RunSettings);
  const settings = settingsFrom(flags);
  if (prompt !== undefined) return answerTyped({ model, generate: settings, ...whereGiven({ stages }) }, prompt, flags);
  const { input, output, json, quiet, slots, inputFormat, outputFormat, force, forceNew } = flags;
  if (!input) throw usage('no prompt is given', 'give --input FILE, or a prompt behind the model');
  if (!output) throw usage('--output FILE is missing: where the answers go', 'see: tandem generate --help');
  if (json && output === STANDARD_STREAM) {
    throw usage('--json and --output - both want stdout', 'write the answers to a file, or leave --json out');
  }
  const given = {
    stages,
    slots,
    column,
    keep,
    maxErrors,
    allowErrors,
    inputFormat,
    outputFormat,
    force,
    forceNew,
    quiet,
    json,
  };
  return performCall({ model, input, output, generate: settings, ...whereGiven(given) });
}

export async function performCall(request: GenerateCall): Promise<number> {
  const rowsOnScreen = request.output === STANDARD_STREAM && process.stdout.isTTY;
  const bar = new ProgressBar(process.stderr, { quiet: request.quiet || rowsOnScreen });
  const opened: OpenedGenerate = {};
  const stop = stopOnSignals(() => {
    bar.clear();
    process.stderr.write('tandem: stopping; a second signal stops at once\n');
  });
  try {
    const summary = await performGenerate(request, opened, { listener: listenerOf(request, bar), stop });
    return summary ? exitOf(summary, request, opened, stop) : await printComplete(request);
  } catch (error) {
    bar.clear();
    return exitAfterError(error, request, opened, stop);
  } finally {
    await closeGenerate(opened);
    stop.release();
  }
}

/** The answer is written as it is made. */
async function answerTyped(request: ModelRequest, prompt: string, flags: GenerateFlags): Promise<number> {
  const ofFiles = [
    'input',
    'output',
    'column',
    'keep',
    'slots',
    'json',
    'n',
    'maxErrors',
    'force',
    'forceNew',
  ] as const;
  const other = ofFiles.find((name) => flags[name] !== undefined);
  if (other) {
    const flag = `--${other.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    throw usage(`${flag} is for prompts of a file, and a prompt stands behind the model`, `leave ${flag} out`);
  }
  const stop = stopOnSignals(() => {});
  try {
    const { finish, promptTokens, newTokens, seconds } = await answerOne(
      request,
      prompt,
      {
        onText: (piece) => process.stdout.write(piece),
        onNotice: (text) => flags.quiet || process.stderr.write(`${printable(text)}\n`),
      },
      stop.signal,
    );
    process.stdout.write('\n');
    if (!flags.quiet) {
      const rate = formatRate(newTokens / seconds);
      const ended = finish === 'length' ? ', cut at its longest' : '';
      process.stderr.write(`${promptTokens} tokens of prompt, ${newTokens} new ones${ended}: ${rate} tokens/s\n`);
    }
    return EXIT.ok;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stdout.write('\n');
    return stop.exitCode!;
  } finally {
    stop.release();
  }
}

function settingsFrom(flags: GenerateFlags): GenerateSettings {
  const { modelFile, chatTemplate, system, maxLength, stopId } = flags;
  const { maxTokens, temperature, topP, topK, minP, repetitionPenalty, presencePenalty, frequencyPenalty } = flags;
  const { stop, ignoreEos, n, seed } = flags;
  const sampling: Partial<SamplingSettings> = whereGiven({
    ...{ maxTokens, temperature, topP, topK, minP, repetitionPenalty, presencePenalty, frequencyPenalty },
    ...{ stop, ignoreEos, n, seed, stopIds: stopId },
  });
  return { ...whereGiven({ modelFile, chatTemplate, system, maxLength, form: formOf(flags) }), sampling };
}

function formOf({ jsonSchema, regex }: GenerateFlags): GenerateSettings['form'] {
  if (jsonSchema !== undefined && regex !== undefined) {
    throw usage('--json-schema and --regex are both given', 'leave one of them out');
  }
  if (regex !== undefined) return { kind: 'regex', pattern: regex };
  if (jsonSchema === undefined) return undefined;
  const isText = jsonSchema.trimStart().startsWith('{');
  try {
    return { kind: 'schema', schema: JSON.parse(isText ? jsonSchema : readTextFile(jsonSchema)) };
  } catch (cause) {
    const why = `--json-schema ${jsonSchema.slice(0, 60)} is no schema: ${(cause as Error).message}`;
    throw usage(why, 'give a file with a JSON schema, or the schema itself in quotes');
  }
}

function whereGiven<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

function listenerOf({ output, quiet }: GenerateCall, bar: ProgressBar) {
  const line = (text: string) => {
    if (!quiet) bar.line(text);
  };
  const toStream = output === STANDARD_STREAM;
  const failed = new FailedRows((text) => bar.line(text));
  return {
    onStep: (text: string) => bar.note(text),
    onNotice: (text: string) => line(`${printable(text)}\n`),
    onProgress: (
      progress: Parameters<ProgressBar['show']>[0] extends () => infer View ? Omit<View, 'stages'> : never,
    ) => bar.show(() => ({ ...progress, stages: [] })),
    onFailures: (failures: Parameters<FailedRows['print']>[0]) => {
      if (toStream) failed.print(failures);
    },
    onSummary: (summary: GenerateSummary, first: Parameters<typeof formatFailure>[0] | null) => {
      bar.clear();
      failed.finish();
      line(formatSummary(summary));
      if (first && !toStream) line(`the first failed row: ${formatFailure(first)}\n`);
    },
  };
}

function formatSummary(summary: GenerateSummary): string {
  const { rows, rowsBefore, seconds, newTokens, promptTokens, newTokensPerSecond, slotsBusy, failedRows, errorsFile } =
    summary;
  const before = rowsBefore > 0 ? ` after ${formatRows(rowsBefore)} of earlier runs` : '';
  const failed = failedRows > 0 ? `, ${grouped(failedRows)} failed${errorsFile ? `: see ${errorsFile}` : ''}` : '';
  const busy = slotsBusy === null ? '' : `; slots busy ${Math.round(100 * slotsBusy)} %`;
  const tokens = `${grouped(promptTokens)} tokens of prompts, ${grouped(newTokens)} new ones`;
  return `${formatRows(rows - rowsBefore)} in ${seconds.toFixed(2)} s${before}: ${tokens}, ${formatRate(newTokensPerSecond)} new tokens/s${busy}; loaded in ${summary.loadSeconds.toFixed(2)} s${failed}\n`;
}

function usage(message: string, remedy: string): TandemError {
  return new TandemError('TANDEM_USAGE', message, { remedy });
}
