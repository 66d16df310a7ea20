/** The command lines of the tasks by name: `tandem embed`, `classify`, `rerank`. */
import { type Command, Option } from 'commander';
import { TandemError } from '../errors.js';
import type { TaskName, TaskSettings } from '../tasks/task-request.js';
import { type RunFlags, runCommand, type Verb } from './run-flags.js';

export interface TaskFlags extends RunFlags, Omit<TaskSettings, 'column'> {}

interface TaskVerb extends Verb {
  readonly options: readonly (() => Option)[];
}

const PROMPT = () =>
  new Option('--prompt <text>', 'put before each text: the name of a prompt of the model, or the text itself');
const TOP = () =>
  new Option(
    '--top <n>',
    'labels of each row, the best first (default: 1; all where each has a score of its own)',
  ).argParser(countOf('--top'));

const VERBS: Readonly<Record<TaskName, TaskVerb>> = {
  embed: {
    name: 'embed',
    description: 'give each text of a file its embedding, as sentence-transformers does',
    examples: `
  tandem embed ./all-MiniLM-L6-v2 -i texts.csv --column text -o embeddings.npy
  tandem embed ./e5 -i 'shards/*.jsonl' --prompt "passage: " --dims 256 --dtype int8 -o embeddings.npy`,
    options: [
      PROMPT,
      () => new Option('--dims <n>', 'keep the first n numbers of each embedding').argParser(countOf('--dims')),
      () => new Option('--dtype <type>', 'f32, f16, int8, uint8 or binary (default: f32)'),
    ],
  },
  classify: {
    name: 'classify',
    description: 'give each text of a file, or each image, its labels and their scores',
    examples: `
  tandem classify ./sst2 -i reviews.csv --column review -o labels.jsonl
  tandem classify ./emotions -i texts.jsonl --top 3 -o labels.jsonl
  tandem classify ./mobilenet photos/ --top 5 -o labels.jsonl`,
    options: [PROMPT, TOP],
  },
  rerank: {
    name: 'rerank',
    description: 'give each pair of a query and a document its score',
    examples: `
  tandem rerank ./bge-reranker -i pairs.csv --query q --document d -o scores.jsonl`,
    options: [
      () => new Option('--query <name>', 'the column of the queries (default: query)'),
      () => new Option('--document <name>', 'the column of the documents (default: document)'),
    ],
  },
};

export function taskCommand(name: TaskName, action: (model: string, flags: TaskFlags) => Promise<void>): Command {
  const { options, ...verb } = VERBS[name];
  const command = runCommand(action, verb);
  for (const option of options) command.addOption(option());
  return command
    .option(
      '--model-file <variant>',
      "a file of the model's folder: fp16, int8, uint8, q8, q4, q4f16, bnb4, or its name",
    )
    .option(
      '--long <how>',
      'texts with more tokens than the model takes: cut, error, or split:256,overlap=32 (default: cut)',
    )
    .option('--dedupe', 'compute a text once that comes again within a window of rows');
}

function countOf(flag: string): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^[1-9]\d{0,6}$/.test(text)) return count;
    throw new TandemError('TANDEM_USAGE', `${flag} "${text}" is no count`, { remedy: `for example ${flag} 5` });
  };
}
