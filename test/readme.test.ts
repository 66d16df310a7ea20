/** The documented examples run as they are printed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';

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

test('the commands', async () => {
  const lines = examples('sh').flatMap((example) => example.trim().split('\n'));
  assert.ok(lines.length > 0);
  for (const line of lines) {
    const [npx, tandem, ...args] = line.split(' ');
    assert.deepEqual([npx, tandem], ['npx', 'tandem']);
    await run(process.execPath, ['dist/src/cli/tandem.js', ...args], { cwd: root });
  }
  assert.ok(existsSync(join(root, 'out/answers.npy')));
});

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

test('every figure stands under the command that makes it, and every linked file exists', () => {
  const figures = /## Figures\n([\s\S]*?)\n## /.exec(readme)![1]!;
  for (const table of figures.split(/\n(?=\|)/).slice(1)) assert.ok(table.length > 0);
  assert.match(figures, /npm run bench/);
  for (const [, path] of readme.matchAll(/\]\((?!http)([^)#]+)\)/g)) assert.ok(existsSync(join(root, path!)), path);
});
