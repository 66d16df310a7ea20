/** Rows that a real engine refuses while it computes, and how many failed rows a run may have. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-bad-rows-'));
const at = (name: string) => join(cwd, name);
const LENGTH = 6;
const ROWS = 21;
/** The first, the last, two of one micro-batch of 4. */
const BAD = [0, 9, 10, ROWS - 1];

before(async () => {
  await makeModel('transformer', at('tfjs'), { width: 8, blocks: 2, length: LENGTH });
  makeOnnx('transformer', at('onnxruntime'));
});
after(() => rmSync(cwd, { recursive: true }));

/** Token numbers; Bad rows hold the number `bad`, which the table of words does not have, or zeros only. */
function writeRows(file: string, engine: string, bad: number): void {
  const lines = Array.from({ length: ROWS }, (_, row) => {
    const tokens = Array.from({ length: LENGTH }, (_, n) => (BAD.includes(row) ? 0 : (row * 7 + n * 3) % 40));
    if (BAD.includes(row)) tokens[2] = bad;
    const mask = tokens.map(() => (BAD.includes(row) && bad === 0 ? 0 : 1));
    const inputs = engine === 'tfjs' ? { tokens } : { input_ids: tokens, attention_mask: mask };
    return JSON.stringify({ id: `row ${row}`, inputs });
  });
  writeFileSync(at(file), `${lines.join('\n')}\n`);
}

const linesOf = (file: string) => readFileSync(at(file), 'utf8').trimEnd().split('\n');
const idOf = (line: string) => Number(/row (\d+)/.exec(line)![1]);

suite('rows that the engine refuses', { concurrency: 2 }, () => {
  for (const engine of ['tfjs', 'onnxruntime']) {
    for (const isolation of ['thread', 'process']) {
      test(`${engine}, ${isolation}: they are reported, and the others are bit for bit what they are among zeros`, async () => {
        const name = `${engine}-${isolation}`;
        const args = [
          '-b',
          '4',
          '--stage',
          'cpu,threads=1',
          '--stage',
          'cpu,threads=1',
          '--isolation',
          isolation,
          '-q',
        ];
        writeRows(`${name}.jsonl`, engine, 999);
        const ended = await tandem(['run', engine, '-i', `${name}.jsonl`, '-o', `${name}-out.jsonl`, ...args], { cwd });
        assert.equal(ended.status, 65, ended.stderr);
        const failed = linesOf(`${name}-out.jsonl.errors.jsonl`).map((line) => JSON.parse(line));
        assert.deepEqual(
          failed.map(({ index, id, code }) => [index, id, code]),
          BAD.map((row) => [row, `row ${row}`, 'TANDEM_ENGINE_FAILED']),
        );
        for (const { message } of failed) assert.match(message, /^by itself it makes a stage fail: \S/);

        writeRows(`${name}-zeros.jsonl`, engine, 0);
        const zeros = await tandem(
          ['run', engine, '-i', `${name}-zeros.jsonl`, '-o', `${name}-among-zeros.jsonl`, ...args],
          {
            cwd,
          },
        );
        assert.equal(zeros.status, 0, zeros.stderr);
        assert.deepEqual(
          linesOf(`${name}-out.jsonl`),
          linesOf(`${name}-among-zeros.jsonl`).filter((line) => !BAD.includes(idOf(line))),
        );
      });
    }
  }

  const few = (...more: string[]) => {
    const name = `few${more.join('')}`.replaceAll(/\W/g, '');
    writeFileSync(at(`${name}.jsonl`), `${['[1,2]', '[3]', '[4,5]', '[]', '[6,7]', '[8,9]'].join('\n')}\n`);
    const args = ['-b', '1', '--stage', 'cpu,threads=1', '--isolation', 'thread', '-q', ...more];
    return { name, ended: tandem(['run', 'mlp', '-i', `${name}.jsonl`, '-o', `${name}-out.jsonl`, ...args], { cwd }) };
  };
  before(() => makeModel('mlp', at('mlp'), { width: 4, blocks: 1, length: 2 }));

  test('--max-errors stops the run at the row that is too many', async () => {
    const { ended, name } = few('--max-errors', '1');
    assertFails(
      { ...(await ended), stderr: (await ended).stderr.split('\n').slice(0, 2).join('\n').concat('\n') },
      { status: 75, code: 'TANDEM_TOO_MANY_ERRORS', says: /2 of 4 rows have failed; 1 may/ },
    );
    assert.ok(!existsSync(at(`${name}-out.jsonl`)), 'it does not look finished');
  });

  test('--max-errors lets so many rows fail, and --allow-errors makes that exit status 0', async () => {
    assert.equal((await few('--max-errors', '2').ended).status, 65);
    assert.equal((await few('--max-errors', '50%', '--allow-errors').ended).status, 0);
    assert.equal((await few('--max-errors', '33%').ended).status, 75);
  });

  test('--max-errors that is no number is refused', async () => {
    assertFails(await few('--max-errors', 'many').ended, { status: 2, code: 'TANDEM_USAGE', says: /100, 0.5%/ });
  });
});
