/** The command line of `tandem generate`. */
import { Command, Option } from 'commander';
import { TandemError } from '../errors.js';
import type { RunSettings } from '../job/run-request.js';
import { parseCount } from '../plan/count.js';
import type { StageOptions } from '../plan/stage-options.js';
import { FORMATS, OUTPUT_FORMATS } from '../rows/format.js';
import { FROM_TEXT } from './config.js';
import { ALLOW_ERRORS, maxErrorsOption } from './run-flags.js';

export interface GenerateFlags extends Pick<RunSettings, 'column' | 'keep' | 'maxErrors' | 'allowErrors'> {
  readonly input?: readonly string[];
  readonly output?: string;
  readonly inputFormat?: string;
  readonly outputFormat?: string;
  readonly stage?: readonly StageOptions[];
  readonly slots?: number;
  readonly modelFile?: string;
  readonly chatTemplate?: string;
  readonly system?: string;
  readonly maxLength?: number;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly stop?: readonly string[];
  readonly stopId?: readonly number[];
  readonly jsonSchema?: string;
  readonly regex?: string;
  readonly ignoreEos?: boolean;
  readonly n?: number;
  readonly seed?: number;
  readonly force?: boolean;
  readonly forceNew?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

const AFTER_HELP = `
Without -i the prompt is what stands behind the model, and its answer is written to stdout as it is made.

A prompt is the message of a user where the model has a chat template, else it is continued as it is (--chat-template none). A column
"messages" has whole conversations. Lines of an OpenAI batch file (/v1/chat/completions, /v1/completions) are answered as OpenAI answers
them; what such a line asks for wins over the flags, and these over the model's generation_config.json.

Each row has random numbers of its own, which follow from --seed and the row: the same command gives the same bytes, also when it is
stopped, killed and given again.

For example:
  tandem generate ./SmolLM2-135M-Instruct "Name three colours."
  tandem generate ./SmolLM2-135M-Instruct -i prompts.jsonl -o answers.jsonl --max-tokens 200
  tandem generate ./model -i batch.jsonl -o answers.jsonl
  tandem generate ./model -i questions.csv --column question -o answers.csv --temperature 0.7 --seed 1`;

export function generateCommand(
  action: (model: string, prompt: string | undefined, flags: GenerateFlags) => Promise<void>,
): Command {
  const command = new Command('generate')
    .description('continue prompts, or answer them, with a language model')
    .argument('<model>', 'a folder with an ONNX decoder, its tokenizer.json and config.json')
    .argument('[prompt]', 'one prompt, answered on stdout')
    .option('-i, --input <file>', `prompts: files (${FORMATS.join(', ')}), globs, folders, - for stdin`, collect)
    .option('-o, --output <file>', 'answers: .jsonl, .csv, .parquet, - for stdout')
    .addOption(setting('--column <name>', 'the column that has the prompts', FROM_TEXT.column))
    .addOption(
      setting(
        '--keep <a,b>',
        "columns of the input that are written beside the answers; * for all, '' for none",
        FROM_TEXT.keep,
      ),
    );
  command
    .addOption(stageOption())
    .addOption(
      setting(
        '--slots <n>',
        'sequences that are continued at the same time (default: 16 for each stage, fewer by memory=)',
        parseCount,
      ),
    );
  for (const option of [...samplingOptions(), ...modelOptions()]) command.addOption(option);
  return command
    .addOption(maxErrorsOption())
    .option('--allow-errors', ALLOW_ERRORS)
    .option('--input-format <format>', `${FORMATS.join(', ')}, if the file's name does not show it`)
    .option('--output-format <format>', `likewise for the output: ${OUTPUT_FORMATS.join(', ')}`)
    .option('-f, --force', 'write over an output that exists')
    .option('--force-new', 'start over, and discard what an earlier run has left')
    .option('-q, --quiet', 'no settings, no progress, no summary')
    .option('--json', 'print the summary as one JSON object on stdout')
    .addHelpText('after', AFTER_HELP)
    .action((model: string, prompt: string | undefined, flags: GenerateFlags) => action(model, prompt, flags));
}

function stageOption(): Option {
  const what = 'a stage, in order: cpu, gpu or gpu:1, then any of threads=, memory=, provider= (default: cpu twice)';
  return new Option('-s, --stage <device,key=value…>', what).argParser((text, before: readonly StageOptions[] = []) => [
    ...before,
    ...FROM_TEXT.stages(text, '--stage'),
  ]);
}

function samplingOptions(): Option[] {
  return [
    setting(
      '--max-tokens <n>',
      'new tokens of an answer at most (default: what the length of the model leaves)',
      parseCount,
    ),
    setting('--temperature <t>', '0 takes the likeliest token (default: what the model says, else 0)', parseNumber),
    setting(
      '--top-p <p>',
      'draw from the fewest likeliest tokens that have this share of the probability',
      parseNumber,
    ),
    setting('--top-k <n>', 'draw from so many likeliest tokens', parseNumber),
    setting('--min-p <p>', 'draw from tokens at least this share as probable as the likeliest', parseNumber),
    setting('--repetition-penalty <x>', 'above 1: tokens of the prompt and the answer become less likely', parseNumber),
    setting('--presence-penalty <x>', 'taken from the logits of tokens that the answer has', parseNumber),
    setting('--frequency-penalty <x>', 'the same, for each time that it has them', parseNumber),
    new Option('--stop <text>', 'an answer ends before this text; may be given again').argParser(collect),
    new Option('--stop-id <id>', 'an answer ends with this token; may be given again').argParser(
      (text, before: readonly number[] = []) => [...before, parseNumber(text, '--stop-id')],
    ),
    new Option('--json-schema <schema>', 'answers are JSON of this schema: a file, or the schema itself'),
    new Option('--regex <pattern>', 'answers are texts of this regular expression'),
    new Option('--ignore-eos', 'tokens that the model names as the end do not end an answer'),
    setting('--n <n>', 'answers to each row (default: 1)', parseCount),
    setting('--seed <n>', 'of the random numbers (default: 0)', parseNumber),
  ];
}

function modelOptions(): Option[] {
  return [
    new Option('--system <text>', 'a message of the system before each prompt that has none'),
    new Option(
      '--chat-template <file>',
      'a Jinja template instead of that of the model; none: continue prompts as they are',
    ),
    new Option('--model-file <variant>', "a file of the model's folder: fp16, int8, q8, q4, q4f16, bnb4, or its name"),
    setting(
      '--max-length <n>',
      "tokens of a prompt and its answer together (default: what the model's files say)",
      parseCount,
    ),
  ];
}

function setting(flags: string, description: string, read: (text: string, where: string) => unknown): Option {
  const option = new Option(flags, description);
  return option.argParser((text) => read(text, option.long!));
}

/** What it may be is checked with the settings. */
function parseNumber(text: string, where: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number)) return number;
  throw new TandemError('TANDEM_USAGE', `${where} "${text}" is no number`, { remedy: `for example: ${where} 0.7` });
}

function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}
