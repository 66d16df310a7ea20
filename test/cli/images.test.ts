/** Images as rows: folders, globs, tables with paths or base64; settings from flags and the model's folder; broken images; resuming. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { choosing } from '../../scripts/make-onnx/small-models.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { crc32 } from '../../src/crc32.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { decode } from '../../src/rows/images/decode.js';
import { resize } from '../../src/rows/images/resize.js';
import { loadSharp } from '../../src/rows/images/sharp.js';
import { scoresOf } from '../../src/tasks/classify/scores.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { interruptPaced, PACED, tandemPaced } from './paced-run.js';
import { assertFails, tandem } from './tandem-process.js';

const fixtures = resolve(import.meta.dirname, '../../../test/fixtures/images');
const cwd = mkdtempSync(join(tmpdir(), 'tandem-images-'));
const at = (name: string) => join(cwd, name);
const run = (...args: string[]) => tandem(['run', ...args], { cwd });
const ONE = ['-s', 'cpu,threads=1', '--isolation', 'thread', '-b', '2'];
const GOOD = readdirSync(fixtures)
  .filter((name) => !/cmyk|sixteen|\.bmp$|\.json$/.test(name))
  .sort();

type Line = { id: unknown; outputs: Record<string, number[]> };
const linesOf = (name: string): Line[] =>
  readFileSync(at(name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const errorsOf = (name: string): { index: number; id: unknown; code: string; message: string }[] =>
  readFileSync(at(`${name}.errors.jsonl`), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

/** The rows as a person would make them: decoded, resized, divided by 255, channels first. */
async function arrayOf(names: readonly string[]): Promise<Buffer> {
  const sharp = await loadSharp();
  const values = new Float32Array(names.length * 3 * 256);
  for (const [n, name] of names.entries()) {
    const pixels = await decode(sharp, readFileSync(join(fixtures, name)), { grey: false, maxPixels: 1e6 });
    const { data } = resize(pixels, 16, 16, 'bilinear');
    for (let i = 0; i < 256; i++)
      for (let c = 0; c < 3; c++) values[(n * 3 + c) * 256 + i] = data[i * 3 + c]! * (1 / 255);
  }
  return npyBytes({ descr: '<f4', shape: [names.length, 3, 16, 16], data: new Uint8Array(values.buffer) });
}

const IMAGE = ['--image', 'resize=16x16,scale=1/255'];
let expected: Line[];

before(async () => {
  makeOnnx('cnn', at('cnn'));
  makeOnnx('cnn', at('configured'));
  const config = { size: { height: 16, width: 16 }, resample: 2, do_rescale: true, do_normalize: false };
  writeFileSync(at('configured/preprocessor_config.json'), JSON.stringify(config));
  mkdirSync(at('photos/more'), { recursive: true });
  for (const name of GOOD) cpSync(join(fixtures, name), at(name < 'g' ? `photos/${name}` : `photos/more/${name}`));
  writeFileSync(at('x.npy'), await arrayOf(GOOD));
  const { status, stderr } = await run('cnn', '-i', 'x.npy', '-o', 'expected.jsonl', '-q', ...ONE);
  assert.equal(status, 0, stderr);
  expected = linesOf('expected.jsonl');
});
after(() => rmSync(cwd, { recursive: true }));

const outputsOf = (lines: readonly Line[]) => lines.map(({ outputs }) => outputs);

suite('images', { concurrency: 2 }, () => {
  test('a folder, in the order of its paths, which are the ids', async () => {
    const { status, stderr } = await run('cnn', '-i', 'photos', '-o', 'folder.jsonl', ...IMAGE, ...ONE);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /images become "image" \[3, 16, 16\]: resize 16x16 \(--image\), scale 1\/255 \(--image\)/);
    const lines = linesOf('folder.jsonl');
    assert.deepEqual(
      lines.map(({ id }) => id),
      GOOD.map((name) => (name < 'g' ? `photos/${name}` : `photos/more/${name}`)),
    );
    assert.deepEqual(outputsOf(lines), outputsOf(expected));
  });

  test("globs and files, with the settings of the model's folder; the flag wins", async () => {
    const args = ['-i', 'photos/*', '-i', 'photos/more/*.{jpg,webp,png,tif}'];
    const { status, stderr } = await run('configured', ...args, '-o', 'glob.jsonl', ...ONE);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /resize 16x16 \(preprocessor_config\.json\)/);
    assert.deepEqual(outputsOf(linesOf('glob.jsonl')), outputsOf(expected));
    const other = await run('configured', '-i', 'photos/plain.jpg', '-o', 'n.jsonl', '--image', 'mean=9', ...ONE);
    assertFails(other, { status: 2, code: 'TANDEM_INPUT_MISSING' });
    const file = ['-i', 'photos/more/plain.jpg'];
    const won = await run('configured', ...file, '-o', 'won.jsonl', '--image', 'mean=9', ...ONE);
    assert.equal(won.status, 0, won.stderr);
    assert.match(won.stderr, /mean 9 \(--image\)/);
    assert.notDeepEqual(outputsOf(linesOf('won.jsonl')), outputsOf([expected[GOOD.indexOf('plain.jpg')]!]));
  });

  test('plan measures the decoding like a stage, and prints its bound; a run has its threads in the summary and the report', async () => {
    const args = ['plan', 'cnn', '-i', 'photos', ...IMAGE, '-b', '2'];
    const env = { XDG_CACHE_HOME: at('cache') };
    const planned = await tandem([...args, '-s', 'cpu,threads=1', '--json'], { cwd, env });
    assert.equal(planned.status, 0, planned.stderr);
    const { preparing, expected: promised, job } = JSON.parse(planned.stdout.toString());
    assert.equal(preparing.what, 'decode images');
    assert.ok(preparing.secondsPerRow > 0 && preparing.threads >= 1);
    assert.equal(job.rows, GOOD.length);
    assert.ok(promised.rowsPerSecond <= (preparing.threads / preparing.secondsPerRow) * (1 + 1e-9));
    const text = String((await tandem([...args, '-s', 'cpu,threads=1'], { cwd, env })).stdout);
    assert.match(
      text,
      /to decode images takes .* ms a row, .* cores at this pace: \d+ threads? on .*, at most .* rows\/s/,
    );

    const files = ['--record', 'lanes.json', '--trace', 'lanes-trace.json', '--json'];
    const ran = await run('cnn', '-i', 'photos', '-o', 'lanes.jsonl', ...IMAGE, ...ONE, ...files);
    assert.equal(ran.status, 0, ran.stderr);
    const summary = JSON.parse(ran.stdout.toString());
    const { rows, rowsBefore, threads, busySeconds } = summary.preparing;
    assert.equal(rows + rowsBefore, GOOD.length);
    assert.ok(rows > 0 && threads >= 1 && busySeconds > 0);
    assert.match(ran.stderr, /^rows +cpu +decode images, \d+ threads?/m);
    const { run: recorded } = JSON.parse(readFileSync(at('lanes.json'), 'utf8'));
    const { spans } = recorded.preparing;
    // Those that were prepared before the run began are not drawn (test/report/columns.test.ts); on a slow machine these are all.
    const drawn = spans.rows.reduce((sum: number, count: number) => sum + count, 0);
    assert.ok(drawn <= rows, `${drawn} of ${rows}`);
    const { traceEvents } = JSON.parse(readFileSync(at('lanes-trace.json'), 'utf8'));
    assert.equal(traceEvents.filter(({ cat }: { cat?: string }) => cat === 'prepare').length, spans.lane.length);
    assert.deepEqual(outputsOf(linesOf('lanes.jsonl')), outputsOf(linesOf('expected.jsonl')));
  });

  test('a column of paths, of base64 and of data URLs', async () => {
    const base64 = (name: string) => readFileSync(join(fixtures, name)).toString('base64');
    mkdirSync(at('table'));
    for (const name of GOOD) cpSync(join(fixtures, name), at(`table/${name}`));
    writeFileSync(at('table/rows.csv'), `label,path\n${GOOD.map((name) => `l,${name}`).join('\n')}\n`);
    const made = await run('cnn', '-i', 'table/rows.csv', '-o', 'paths.jsonl', ...IMAGE, ...ONE);
    assert.equal(made.status, 0, made.stderr);
    assert.match(made.stderr, /images are in the column "path"/);
    assert.deepEqual(outputsOf(linesOf('paths.jsonl')), outputsOf(expected));

    const row = (name: string, n: number) => ({
      id: name,
      picture: n % 2 ? base64(name) : `data:image/${name.split('.').at(-1)};base64,${base64(name)}`,
    });
    const stdin = GOOD.map((name, n) => `${JSON.stringify(row(name, n))}\n`).join('');
    const piped = await tandem(['run', 'cnn', '-i', '-', '-o', '-', ...IMAGE, '--column', 'picture', ...ONE], {
      cwd,
      stdin,
    });
    assert.equal(piped.status, 0, piped.stderr);
    const lines: Line[] = String(piped.stdout)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(outputsOf(lines), outputsOf(expected));
    assert.deepEqual(
      lines.map(({ id }) => id),
      GOOD,
    );
  });

  test('broken images are failed rows, each by name, and cost the others nothing', async () => {
    mkdirSync(at('broken'));
    const good = readFileSync(join(fixtures, 'plain.jpg'));
    const files: Record<string, Buffer> = {
      'a-good.jpg': good,
      'b-empty.jpg': Buffer.alloc(0),
      'c-cut.jpg': good.subarray(0, good.length / 2),
      'd-text.png': Buffer.from('no image at all'),
      'e-bomb.png': pngBomb(),
      'f-cmyk.jpg': readFileSync(join(fixtures, 'cmyk.jpg')),
      'g-sixteen.png': readFileSync(join(fixtures, 'sixteen.png')),
      'h-bitmap.bmp': readFileSync(join(fixtures, 'plain.bmp')),
      'i-good.jpg': good,
    };
    for (const [name, bytes] of Object.entries(files)) writeFileSync(at(`broken/${name}`), bytes);
    const { status, stderr } = await run('cnn', '-i', 'broken', '-o', 'broken.jsonl', ...IMAGE, ...ONE);
    assert.equal(status, 65, stderr);
    const [first, last, ...more] = linesOf('broken.jsonl');
    assert.equal(more.length, 0);
    assert.deepEqual([first!.id, last!.id], ['broken/a-good.jpg', 'broken/i-good.jpg']);
    assert.deepEqual(first!.outputs, expected[GOOD.indexOf('plain.jpg')]!.outputs);
    assert.deepEqual(last!.outputs, first!.outputs);
    const errors = errorsOf('broken.jsonl');
    assert.deepEqual(
      errors.map(({ index, id, code }) => [index, id, code]),
      Object.keys(files)
        .slice(1, -1)
        .map((name, n) => [n + 1, `broken/${name}`, 'TANDEM_ROW_INVALID']),
    );
    const says = [/empty/, /premature end/, /cannot be decoded/, /1000000000000 /, /CMYK/, /16|ushort/, /BMP/];
    for (const [n, pattern] of says.entries())
      assert.match(errors[n]!.message, n === 3 ? /more than 89478485/ : pattern);
  });

  test('values of a column that are no images are failed rows', async () => {
    const rows = [
      { image: 'photos/nothing.jpg' },
      { image: 7 },
      { other: 1 },
      { image: 'https://x.org/a.jpg' },
      { image: null },
    ];
    const stdin = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    const { status, stderr } = await tandem(['run', 'cnn', '-i', '-', '-o', '-', ...IMAGE, ...ONE], { cwd, stdin });
    assert.equal(status, 65, stderr);
    for (const text of [
      'there is no file',
      '"image" is a number',
      '"image" is missing',
      'is an address',
      '"image" is null',
    ]) {
      assert.ok(stderr.includes(text), `${text} in ${stderr}`);
    }
  });

  test('what is wrong with the request is refused before anything runs', async () => {
    const fails = async (code: string, says: RegExp, ...args: string[]) =>
      assertFails(await run(...args, '-o', 'refused.jsonl', ...ONE), { status: 2, code, says });
    await fails('TANDEM_USAGE', /nothing says how images become.*\n.*resize=16x16,scale=1\/255/, 'cnn', '-i', 'photos');
    await fails(
      'TANDEM_USAGE',
      /no setting "rezise".*\n.*did you mean resize/,
      'cnn',
      '-i',
      'photos',
      '--image',
      'rezise=1',
    );
    await fails('TANDEM_USAGE', /24x24.*takes 16x16/, 'cnn', '-i', 'photos', '--image', 'resize=24,scale=1');
    await fails('TANDEM_USAGE', /x\.npy is npy, which holds no images/, 'cnn', '-i', 'x.npy', ...IMAGE);
    await fails(
      'TANDEM_USAGE',
      /images cannot be read from stdin/,
      'cnn',
      '-i',
      '-',
      '--input-format',
      'images',
      ...IMAGE,
    );
    await fails('TANDEM_INPUT_MISSING', /no file matches/, 'cnn', '-i', 'photos/*.heic', ...IMAGE);
    mkdirSync(at('damaged'));
    cpSync(at('cnn/model.onnx'), at('damaged/model.onnx'));
    writeFileSync(at('damaged/preprocessor_config.json'), '{"size": {"width": "wide"}');
    await fails('TANDEM_MODEL_INVALID', /preprocessor_config\.json cannot be used/, 'damaged', '-i', 'photos');
  });

  test("classify gives the best labels with their scores, as the model's folder says", async () => {
    makeOnnx('cnn', at('classifier'));
    cpSync(at('configured/preprocessor_config.json'), at('classifier/preprocessor_config.json'));
    const id2label = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [n, `kind ${n}`]));
    writeFileSync(at('classifier/config.json'), JSON.stringify({ id2label }));
    const args = ['classify', 'classifier', 'photos', '-o', 'labels.jsonl', '--top', '3', ...ONE];
    const { status, stderr } = await tandem(args, { cwd });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /scores: softmax .*\n.*labels: 10 \(id2label in config\.json\)/);
    const lines = linesOf('labels.jsonl');
    assert.equal(lines.length, GOOD.length);
    for (const [n, { id, outputs }] of lines.entries()) {
      assert.match(String(id), /^photos\//);
      const logits = Object.values(expected[n]!.outputs)[0]!;
      const scores = scoresOf(logits, 'softmax');
      const best = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!).slice(0, 3);
      assert.deepEqual(
        outputs.label as unknown,
        best.map((label) => `kind ${label}`),
      );
      for (const [place, label] of best.entries()) {
        assert.ok(Math.abs(outputs.score![place]! - scores[label]!) < 1e-6);
      }
    }
    const table = await tandem(['classify', 'classifier', 'photos', '-o', 'labels.csv', ...ONE], { cwd });
    assert.equal(table.status, 0, table.stderr);
    const [names, first, ...more] = readFileSync(at('labels.csv'), 'utf8').trimEnd().split('\n');
    assert.equal(names, 'id,score,label');
    assert.match(first!, /^photos\/alpha\.png,0\.\d+,kind \d$/);
    assert.equal(more.length, GOOD.length - 1);
    writeFileSync(at('classifier/config.json'), JSON.stringify({ id2label: { 0: 'a', 1: 'b' } }));
    const fewer = await tandem(['classify', 'classifier', 'photos', '-o', 'fewer.jsonl', ...ONE], { cwd });
    assertFails(fewer, { status: 2, code: 'TANDEM_MODEL_INVALID', says: /names 2 labels, and the model gives 10/ });
    assert.deepEqual(
      readdirSync(cwd).filter((name) => name.startsWith('fewer')),
      [],
      'before anything runs',
    );
    rmSync(at('classifier/config.json'));
    const unnamed = await tandem(['classify', 'classifier', 'photos', '-o', 'unnamed.jsonl', ...ONE], { cwd });
    assert.equal(unnamed.status, 0, unnamed.stderr);
    assert.match(unnamed.stderr, /scores: none \(as the model gives them: there is no config\.json\)/);
    const logits = Object.values(expected[0]!.outputs)[0]!;
    const best = logits.indexOf(Math.max(...logits));
    assert.deepEqual(linesOf('unnamed.jsonl')[0]!.outputs, { score: logits[best], label: `LABEL_${best}` });
    const embed = await tandem(['embed', 'classifier', 'photos', '-o', 'e.npy', ...ONE], { cwd });
    assertFails(embed, { status: 2, code: 'TANDEM_USAGE', says: /embed takes texts/ });
    const prompt = await tandem(['classify', 'classifier', 'photos', '-o', 'e.jsonl', '--prompt', 'a', ...ONE], {
      cwd,
    });
    assertFails(prompt, { status: 2, code: 'TANDEM_USAGE', says: /--prompt is for texts/ });
    const twice = await tandem(['classify', 'classifier', 'photos', '-i', 'photos', '-o', 'e.jsonl'], { cwd });
    assertFails(twice, { status: 2, code: 'TANDEM_USAGE', says: /by --input and behind the model/ });
  });

  test('bench measures on images as it does on other rows, and names what it cannot run', async () => {
    const stage = ['-s', 'cpu,threads=1', '-b', '2', '--seconds', '1', '--json', '-q'];
    const { status, stdout, stderr } = await tandem(['bench', 'cnn', '-i', 'photos', ...IMAGE, ...stage], { cwd });
    assert.equal(status, 0, stderr);
    assert.ok(JSON.parse(String(stdout)).cases.length > 0);
    mkdirSync(at('unusable'));
    writeFileSync(at('unusable/a.jpg'), 'no image');
    const broken = await tandem(['bench', 'cnn', '-i', 'unusable', ...IMAGE, ...stage], { cwd });
    assertFails(broken, { status: 2, code: 'TANDEM_INPUT_INVALID', says: /no row can be used; row 0/ });
    writeFileSync(at('unusable/a.wav'), 'RIFF');
    const sound = await tandem(['bench', 'cnn', '-i', 'unusable/a.wav', ...stage], { cwd });
    assertFails(sound, { status: 2, code: 'TANDEM_USAGE', says: /windows follow one another/ });
  });

  test('of a detector that chooses its boxes what it found is refused by name, and --keep runs the rest of it', async () => {
    mkdirSync(at('choosing'));
    writeModel(at('choosing/model.onnx'), choosing());
    const args = (output: string, ...more: string[]) => ['run', 'choosing', 'photos', '-o', output, ...IMAGE, ...more];
    for (const stages of [ONE, [...ONE, '-s', 'cpu,threads=1']]) {
      const refused = await tandem(args('found.jsonl', ...stages), { cwd });
      assertFails(refused, {
        ...{ status: 2, code: 'TANDEM_MODEL_UNSUPPORTED' },
        says: /output found is .*NonMaxSuppression "\/nms\/NonMaxSuppression".*\n.*--keep boxes,scores/,
      });
      const kept = await tandem(args('kept.jsonl', '--keep', 'boxes,scores', '--force-new', ...stages), { cwd });
      assert.equal(kept.status, 0, kept.stderr);
      assert.deepEqual(Object.keys(linesOf('kept.jsonl')[0]!.outputs), ['boxes', 'scores']);
      assert.equal(linesOf('kept.jsonl').length, GOOD.length);
    }
    const wanted = await tandem(args('wanted.jsonl', '--keep', 'boxes,found', ...ONE), { cwd });
    assertFails(wanted, { status: 2, code: 'TANDEM_MODEL_UNSUPPORTED', says: /output found is/ });
  });

  test('of a detector the outputs that --keep names are written, and columns beside them', async () => {
    makeOnnx('detector', at('detector'));
    const args = (output: string, ...more: string[]) => [
      'run',
      'detector',
      'photos',
      '-o',
      output,
      ...IMAGE,
      ...ONE,
      ...more,
    ];
    const whole = await tandem(args('all.jsonl'), { cwd });
    assert.equal(whole.status, 0, whole.stderr);
    const all = linesOf('all.jsonl');
    assert.deepEqual(Object.keys(all[0]!.outputs), ['boxes', 'scores', 'features']);
    const some = await tandem(args('some.jsonl', '--keep', 'scores,boxes'), { cwd });
    assert.equal(some.status, 0, some.stderr);
    const expectedSome = all.map(({ id, outputs: { boxes, scores } }) => ({ id, outputs: { boxes, scores } }));
    assert.deepEqual(linesOf('some.jsonl'), expectedSome);
    const one = await tandem(args('one.npy', '--keep', 'scores'), { cwd });
    assert.equal(one.status, 0, one.stderr);
    assertFails(await tandem(args('more.npy', '--keep', 'scores,boxes'), { cwd }), {
      ...{ status: 2, code: 'TANDEM_OUTPUT_UNSUPPORTED', says: /boxes, scores/ },
    });
    assertFails(await tandem(args('no.jsonl', '--keep', 'score'), { cwd }), {
      ...{ status: 2, code: 'TANDEM_USAGE', says: /no output "score".*IMAGES.*\n.*did you mean scores\?/ },
    });
    mkdirSync(at('tables'));
    const paths = GOOD.slice(0, 3).map((name) => (name < 'g' ? `../photos/${name}` : `../photos/more/${name}`));
    writeFileSync(at('tables/a.csv'), `path,stars\n${paths.map((path, n) => `${path},${n}`).join('\n')}\n`);
    writeFileSync(at('tables/b.csv'), `path,scores\n${paths.map((path, n) => `${path},${n}`).join('\n')}\n`);
    const table = (name: string, keep: string) =>
      tandem(['run', 'detector', `tables/${name}.csv`, '-o', `${name}.out.csv`, ...IMAGE, ...ONE, '--keep', keep], {
        cwd,
      });
    const kept = await table('a', 'stars,scores');
    assert.equal(kept.status, 0, kept.stderr);
    assert.match(readFileSync(at('a.out.csv'), 'utf8'), /^stars,scores\n0,"\[0\.\d+,/);
    assertFails(await table('b', 'path,scores'), {
      ...{ status: 2, code: 'TANDEM_USAGE', says: /an output "scores", and the input a column of that name/ },
    });
  });

  test('without sharp the command that installs it is named, before anything runs', async () => {
    const env = { NODE_OPTIONS: `--require ${resolve(fixtures, '../without-sharp.cjs')}` };
    const ended = await tandem(['run', 'cnn', 'photos', '-o', 'without.jsonl', ...IMAGE, ...ONE], { cwd, env });
    const says = /images need the package sharp@\d\S+, which is not installed.*\n.*npx tandem setup images/;
    assertFails(ended, { status: 78, code: 'TANDEM_PACKAGE_MISSING', says });
    assert.ok(!existsSync(at('without.jsonl.journal')));
  });

  test('killed and resumed, also from another folder: the same bytes and ids', async () => {
    mkdirSync(at('many'));
    for (let n = 0; n < 150; n++)
      cpSync(join(fixtures, GOOD[n % GOOD.length]!), at(`many/${n}-${GOOD[n % GOOD.length]}`));
    const args = (output: string) => [
      'run',
      'cnn',
      '-i',
      'many',
      '-o',
      output,
      ...IMAGE,
      '-s',
      `${PACED},threads=1`,
      '-b',
      '1',
      '-q',
    ];
    const whole = await tandemPaced(args('whole.jsonl'), { cwd });
    assert.equal(whole.status, 0, whole.stderr);
    assert.equal(
      (await interruptPaced(args('killed.jsonl'), { cwd, output: 'killed.jsonl', signal: 'SIGKILL' })).status,
      137,
    );
    const resumed = await tandemPaced(['resume', at('killed.jsonl')], { cwd: tmpdir() });
    assert.equal(resumed.status, 0, resumed.stderr);
    assert.match(resumed.stderr, /of an earlier run/);
    assert.ok(readFileSync(at('killed.jsonl')).equals(readFileSync(at('whole.jsonl'))));
    // Another picture under one of the names is another job.
    assert.equal(
      (await interruptPaced(args('other.jsonl'), { cwd, output: 'other.jsonl', signal: 'SIGKILL' })).status,
      137,
    );
    writeFileSync(at('many/3-more.jpg'), readFileSync(join(fixtures, 'plain.jpg')));
    assertFails(await tandemPaced(args('other.jsonl'), { cwd }), { status: 73, code: 'TANDEM_JOURNAL_MISMATCH' });
  });
});

/** A PNG that says it has a million times a million pixels. */
function pngBomb(): Buffer {
  const png = Buffer.from(readFileSync(join(fixtures, 'plain.png')));
  png.writeUInt32BE(1_000_000, 16);
  png.writeUInt32BE(1_000_000, 20);
  png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
  return png;
}
