/** Mistyped commands, flags of other tools, settings that nothing reads: each is refused with what was most likely meant. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-usage-'));

before(() => {
  makeOnnx('mlp', join(cwd, 'mlp'));
  writeFileSync(join(cwd, 'x.jsonl'), '[1]\n');
});
after(() => rmSync(cwd, { recursive: true }));

/** What is typed after `tandem`, and what the answer must say. */
const TYPED: Record<string, RegExp> = {
  'mlp -i x.jsonl -o y.jsonl': /unknown command 'mlp'.*\n.*tandem run mlp -i x\.jsonl -o y\.jsonl/,
  './mlp/model.onnx': /tandem run \.\/mlp\/model\.onnx/,
  rum: /did you mean run\?/,
  'exec mlp': /did you mean: tandem run MODEL/,
  'predict mlp': /tandem run MODEL/,
  'infer mlp': /tandem run MODEL/,
  'serve mlp': /is no server: tandem run MODEL/,
  version: /tandem --version/,
  '-v': /did you mean --version\?/,
  ls: /tandem inspect MODEL/,
  'benchmark mlp': /tandem bench MODEL/,
  'check mlp': /tandem doctor/,
  'convert mlp': /converts no models/,
  xyzzy: /see: tandem --help/,
  '--input x run mlp': /the verb comes first: tandem run … --input/,
  'run mlp --batch-size 4': /did you mean --micro-batch 4\?/,
  'run mlp --batch_size=8': /did you mean --micro-batch 8\?/,
  'run mlp --batch': /did you mean --micro-batch\?/,
  'run mlp --device gpu': /did you mean --stage gpu\?/,
  'run mlp --device cuda:1': /did you mean --stage gpu:1\?/,
  'run mlp --device': /did you mean --stage gpu\?/,
  'run mlp --gpu': /did you mean --stage gpu\?/,
  'run mlp --cpu': /did you mean --stage cpu\?/,
  'run mlp --workers 3': /--stage cpu,workers=3/,
  'run mlp --threads 8': /--stage cpu,threads=8/,
  'run mlp -t 8': /--stage cpu,threads=8/,
  'run mlp -ngl 33': /--stage gpu,layers=33 --stage cpu/,
  'run mlp --n-gpu-layers': /--stage gpu,layers=0\.\.N/,
  'run mlp --gpu-memory-utilization 0.9': /--stage gpu,memory=6GiB/,
  'run mlp --pipeline-parallel-size 2': /--stage once for each stage/,
  'run mlp --nproc-per-node 2': /--stage cpu,workers=2/,
  'run mlp --input-file x': /did you mean --input x\?/,
  'run mlp --out y': /did you mean --output y\?/,
  'run mlp --inptu x': /did you mean --input\?/,
  'run mlp --overwrite': /did you mean --force\?/,
  'run mlp --verbose': /TANDEM_DEBUG=1/,
  'run mlp --dtype fp16': /convert the model/,
  'run --model mlp': /the first word/,
  'run mlp --zzz': /see: tandem run --help/,
  'inspect mlp --batch-size 4': /see: tandem inspect --help/,
  'run mlp x.jsonl y.jsonl': /--output FILE is missing: where the results go/,
  'run mlp -i x.jsonl y.jsonl -o z': /a flag of its own/,
  run: /missing required argument 'model'.*\n.*tandem run --help/,
  'run mlp -s cuda': /"cuda" is not a device.*\n.*did you mean gpu\?/,
  'run mlp -s GPU:1': /did you mean gpu:1\?/,
  'run mlp -s gpu,vram=4GiB': /"vram" is not a setting of a stage.*\n.*did you mean memory=\?/,
  'run mlp -s gpu,mem=4GiB': /did you mean memory=\?/,
  'run mlp -s cpu,thread=2': /did you mean threads=\?/,
  'run mlp -s cpu,zzz=2': /there are layers=, memory=/,
  'plan mlp --batch-size 4': /did you mean --micro-batch 4\?/,
};

/** The rest of a command that is right. */
const RUN = 'run mlp -i x.jsonl -o y.jsonl';
const SETTINGS: Record<string, { env?: Record<string, string>; config?: string; says: RegExp }> = {
  'a variable with a typing error': {
    env: { TANDEM_MICROBATCH: '4' },
    says: /nothing reads the variable TANDEM_MICROBATCH.*\n.*did you mean TANDEM_MICRO_BATCH\?/,
  },
  'a variable by the word of another tool': {
    env: { TANDEM_BATCH_SIZE: '4' },
    says: /did you mean TANDEM_MICRO_BATCH\?/,
  },
  'a variable in the singular': { env: { TANDEM_STAGE: 'cpu' }, says: /did you mean TANDEM_STAGES\?/ },
  'a key with a typing error': { config: '{"micro_batch":4}', says: /no setting "micro_batch".*\n.*microBatch\?/ },
  'a key by the word of another tool': { config: '{"batchSize":4}', says: /no setting "batchSize".*\n.*microBatch\?/ },
  'a key of the command line': { config: '{"device":"gpu"}', says: /no setting "device".*\n.*did you mean stages\?/ },
  'a key of a stage': {
    config: '{"stages":[{"device":"cpu","vram":"1GiB"}]}',
    says: /stages\[0\] has no setting "vram".*\n.*did you mean memory\?/,
  },
  'a value of the wrong type': { config: '{"microBatch":"4"}', says: /microBatch: expected number/ },
  'a number that is too large': { config: '{"microBatch":1e300}', says: /microBatch: / },
  'a list for an object': { config: '[]', says: /expected object/ },
  'no JSON': { config: '\u0000', says: /is not JSON/ },
};

suite('tandem names what was meant', { concurrency: 2 }, () => {
  for (const [typed, says] of Object.entries(TYPED)) {
    test(`tandem ${typed}`, async () => {
      assertFails(await tandem(typed.split(' '), { cwd }), { status: 2, code: 'TANDEM_USAGE', says });
    });
  }
  for (const [n, [name, { env, config, says }]] of Object.entries(SETTINGS).entries()) {
    test(name, async () => {
      const folder = join(cwd, String(n));
      mkdirSync(folder);
      if (config !== undefined) writeFileSync(join(folder, 'tandem.config.json'), config);
      const ended = await tandem(RUN.split(' '), { cwd: folder, env });
      assertFails(ended, { status: 2, code: 'TANDEM_USAGE', says });
    });
  }
});
