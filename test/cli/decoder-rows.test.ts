/** A decoder given to a verb that runs rows once: refused by name before anything runs, and `tandem generate` is what is to be typed. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeDecoderModel } from '../../scripts/make-decoder-model.js';
import { planModel } from '../../src/index.js';
import { tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-decoder-rows-'));
before(() => {
  for (const form of ['concat', 'in-place'] as const) makeDecoderModel(join(cwd, form), { form });
  writeFileSync(join(cwd, 'texts.csv'), 'text\nthe other\n');
  const inputs = { input_ids: [1, 2], attention_mask: [1, 1], position_ids: [0, 1] };
  writeFileSync(join(cwd, 'rows.jsonl'), `${JSON.stringify({ inputs })}\n`);
});
after(() => rmSync(cwd, { recursive: true }));

for (const form of ['concat', 'in-place']) {
  const commands = [
    ['run', form, '-i', 'rows.jsonl', '-o', 'out.jsonl'],
    ['embed', form, '-i', 'texts.csv', '-o', 'out.jsonl'],
    ['plan', form],
    ['plan', form, '-i', 'rows.jsonl'],
    ['plan', form, '-i', 'texts.csv'],
    ['bench', form],
    ['bench', form, '-i', 'rows.jsonl'],
  ];
  for (const command of commands) {
    test(`tandem ${command.join(' ')}`, async () => {
      const { status, stdout, stderr } = await tandem(command, { cwd });
      assert.match(
        stderr,
        /^tandem: \S*model\.onnx continues texts token by token: its input "past_key_values\.0\.key" .*\[TANDEM_MODEL_UNSUPPORTED\]$/m,
      );
      assert.match(stderr, /tandem generate \S*model\.onnx -i PROMPTS -o ANSWERS$/m);
      assert.deepEqual([status, String(stdout)], [2, '']);
      assert.ok(!existsSync(join(cwd, 'out.jsonl')));
    });
  }
}

test('a decoder can still be inspected', async () => {
  const { status, stdout } = await tandem(['inspect', 'concat'], { cwd });
  assert.equal(status, 0);
  assert.match(String(stdout), /past_key_values\.0\.key/);
});

test('planModel refuses it as well', async () => {
  await assert.rejects(planModel(join(cwd, 'in-place')), {
    code: 'TANDEM_MODEL_UNSUPPORTED',
    message: /continues texts/,
  });
});
