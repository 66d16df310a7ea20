/** Devices, pipes, folders and loops of links where a file belongs: each is refused by name, at once. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-odd-files-'));
const at = (name: string) => join(cwd, name);

before(() => {
  makeOnnx('mlp', at('mlp'), { layers: 1, hidden: 2 });
  writeFileSync(at('x.jsonl'), '[1,2]\n');
  symlinkSync('loop', at('loop'));
  for (const folder of ['folder', 'config-folder/tandem.config.json', 'config-pipe'])
    mkdirSync(at(folder), { recursive: true });
  execFileSync('mkfifo', [at('pipe'), at('config-pipe/tandem.config.json')]);
});
after(() => rmSync(cwd, { recursive: true }));

const RUN = ['run', '../mlp', '-i', '../x.jsonl', '-o', 'out.jsonl', '-q'];
/** Each with an output of its own, since they run side by side. */
let outputs = 0;
const run = (...flags: string[]) => ['run', 'mlp', '-i', 'x.jsonl', '-o', `out-${outputs++}.jsonl`, '-q', ...flags];
const [USAGE, OUTPUT] = [
  { status: 2, code: 'TANDEM_USAGE' },
  { status: 73, code: 'TANDEM_OUTPUT_FAILED' },
];

const TRIED: Record<string, { args: string[]; status: number; code: string; says: RegExp; folder?: string }> = {
  'a device as the plan': { args: run('--plan', '/dev/zero'), ...USAGE, says: /\/dev\/zero .*it is a device/ },
  'a folder as the plan': { args: run('--plan', 'folder'), ...USAGE, says: /folder cannot be read/ },
  'a device as the earlier bench': {
    args: ['bench', 'mlp', '--compare', '/dev/zero'],
    ...USAGE,
    says: /it is a device/,
  },
  'a device as the record': { args: ['report', '/dev/zero', '-o', 'page.html'], ...USAGE, says: /it is a device/ },
  'a pipe as the report': { args: run('--report', 'pipe', '-f'), ...OUTPUT, says: /pipe is a device or a pipe/ },
  'a device as the report': { args: run('--report', '/dev/null', '-f'), ...OUTPUT, says: /is a device or a pipe/ },
  'a pipe as the output': {
    args: ['run', 'mlp', '-i', 'x.jsonl', '-o', 'pipe', '--output-format', 'jsonl', '-f'],
    ...OUTPUT,
    says: /a device or a pipe.*\n.*--output - > pipe/,
  },
  'a loop of links as the input': {
    args: ['run', 'mlp', '-i', 'loop', '--input-format', 'jsonl', '-o', 'out.jsonl'],
    status: 2,
    code: 'TANDEM_INPUT_MISSING',
    says: /loop cannot be opened: ELOOP/,
  },
  'a folder as the configuration': {
    args: RUN,
    folder: 'config-folder',
    ...USAGE,
    says: /tandem\.config\.json cannot be/,
  },
  'a pipe as the configuration': { args: RUN, folder: 'config-pipe', ...USAGE, says: /it is a pipe, not a file/ },
};

suite('what is no plain file is named', { concurrency: 2 }, () => {
  for (const [name, { args, folder = '', ...expected }] of Object.entries(TRIED)) {
    test(name, async () => assertFails(await tandem(args, { cwd: at(folder) }), expected));
  }
});
