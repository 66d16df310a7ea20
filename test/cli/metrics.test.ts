/** `tandem run --metrics-port`: a scrape while the run waits for rows, and nobody listening when it has ended. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { assertFails, start, TANDEM, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-metrics-'));
before(() => {
  makeOnnx('mlp', join(cwd, 'onnx'), { layers: 2, hidden: 8 });
});
after(() => rmSync(cwd, { recursive: true }));

const RUN = ['run', 'onnx', '-i', '-', '-o', 'out.jsonl', '-s', 'cpu', '-s', 'cpu', '-b', '2', '--isolation', 'thread'];
const row = `${JSON.stringify(Array(8).fill(1))}\n`;

test('rows, stages and memory are served during the run; the server ends with it', async () => {
  const { child, says, ended } = start(process.execPath, [TANDEM, ...RUN, '--metrics-port', '0'], { cwd });
  let said = '';
  child.stderr!.on('data', (text) => {
    said += text;
  });
  await says('/metrics');
  const [url] = /http:\/\/127\.0\.0\.1:\d+\/metrics/.exec(said)!;
  child.stdin!.write(row.repeat(6));
  // Scrapes until the rows have gone through, as Prometheus would.
  let text = '';
  while (!/^tandem_rows_total [1-9]/m.test(text)) text = await (await fetch(url)).text();
  assert.match(text, /^tandem_stage_busy_seconds_total\{stage="1",device="cpu"\} 0\.\d+/m);
  assert.match(text, /^tandem_stage_workers\{stage="0",device="cpu"\} 1$/m);
  assert.match(text, /^tandem_failed_rows_total 0$/m);
  assert.match(text, /^process_resident_memory_bytes \d{7,}$/m);
  child.stdin!.end();
  assert.equal((await ended).status, 0);
  await assert.rejects(fetch(url));
});

test('a port that is none, and a host that is not here, are refused before anything runs', async () => {
  const refused = (...flags: string[]) => tandem([...RUN, ...flags], { cwd, stdin: row });
  assertFails(await refused('--metrics-port', '70000'), { status: 2, code: 'TANDEM_USAGE', says: /not a port/ });
  const elsewhere = await refused('--force', '--metrics-port', '0', '--metrics-host', '192.0.2.1');
  assertFails(elsewhere, { status: 2, code: 'TANDEM_USAGE', says: /no such address/ });
});
