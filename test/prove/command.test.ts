/** The command line as claims start it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { journalPath } from '../../src/output/journal.js';
import { Command } from '../../src/prove/command.js';
import { OUTPUTS, Subjects } from '../../src/prove/subjects.js';
import { TANDEM } from '../cli/tandem-process.js';
import { tempFolder } from '../fixtures/temp-folder.js';

test('a run that had to be ended leaves no unfinished output in the way of the next one', async (t) => {
  const at = tempFolder(t);
  const until = performance.now() + 60_000;
  const command = new Command({
    file: TANDEM,
    folder: at(''),
    until: () => until,
    always: ['-s', 'cpu', '-b', '1', '--keep', OUTPUTS.small],
  });
  const subjects = new Subjects(at(''), 'tiny');

  const args = command.runArguments(subjects.model('BERT'), subjects.rows('BERT', 20_000));
  const { child, ended } = command.start(args);
  const journal = journalPath(at(args[args.indexOf('-o') + 1]!));
  while (!existsSync(journal)) await Promise.race([setTimeout(20), ended.then(({ stderr }) => assert.fail(stderr))]);
  child.kill('SIGKILL');
  await ended;

  assert.equal((await command.run(subjects.model('BERT'), subjects.rows('BERT', 8))).rows, 8);
});
