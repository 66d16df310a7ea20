/** Linking from end to end with a tiny TensorFlow: real pip, compiler and loading in a child process, and the errors if one is absent. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { addonFile } from '../../src/engine/tfjs/installed.js';
import { linkTensorflow } from '../../src/setup/link-tensorflow.js';
import type { LibrarySource } from '../../src/setup/tensorflow-wheels.js';
import { missingTools, program, scratch, tinyPackage, tinyTensorflow, userOf, writeFiles } from './tiny-tensorflow.js';

const skip = missingTools();

describe('linkTensorflow', { skip }, () => {
  let index: string;
  let source: LibrarySource;
  /** The cache of a user who linked before. */
  let warmCache: string;
  before(() => {
    index = mkdtempSync(join(tmpdir(), 'tandem-index-'));
    warmCache = join(index, 'cache');
    source = tinyTensorflow(index);
  });
  after(() => rmSync(index, { recursive: true }));

  /** Links, and returns the messages and the result. */
  async function link(packageFolder: string, env: NodeJS.ProcessEnv, more: { source?: null; force?: boolean } = {}) {
    const printed: string[] = [];
    const options = {
      kind: 'cpu' as const,
      packageFolder,
      env,
      source,
      say: (line: string) => void printed.push(line),
      ...more,
    };
    return { printed, ...(await linkTensorflow(options)) };
  }

  function warmUser(t: TestContext): NodeJS.ProcessEnv {
    const env = userOf(t, index);
    cpSync(warmCache, cacheOf(env), { recursive: true });
    return env;
  }

  const cacheOf = (env: NodeJS.ProcessEnv) => join(env.XDG_CACHE_HOME!, 'tandem');
  const libraryOf = (env: NodeJS.ProcessEnv) => join(cacheOf(env), source.name, 'tensorflow', 'libtensorflow_cc.so.2');
  /** An empty PATH. */
  const bare = (env: NodeJS.ProcessEnv) => ({ ...env, PATH: '/nonexistent' });

  test('from an empty cache: the wheel is fetched, the addon is built, and its device is reported', async (t) => {
    const env = userOf(t, index);
    const { printed, version, device, by, kept } = await link(tinyPackage(t), env);
    assert.deepEqual({ version, device, by, kept }, { version: '9.9.9', device: 'CPU', by: 'wheel', kept: false });
    assert.equal(printed.length, 2);
    assert.match(printed[0]!, /^fetching TensorFlow/);
    // The wheel, the scratch folder and the lock were removed, and only the needed members were unpacked.
    assert.deepEqual(readdirSync(cacheOf(env)), [source.name]);
    assert.deepEqual(readdirSync(join(cacheOf(env), source.name, 'tensorflow', 'include')), ['tensorflow']);
    cpSync(cacheOf(env), warmCache, { recursive: true });
  });

  test('an existing link is kept without further checks', async (t) => {
    const env = warmUser(t);
    const packageFolder = tinyPackage(t);
    await link(packageFolder, env);
    const again = await link(packageFolder, { ...bare(env), XDG_CACHE_HOME: '/nonexistent' });
    assert.equal(again.kept, true);
    assert.deepEqual(again.printed, []);
  });

  test('a second checkout uses library and addon from the cache, without Python and compiler', async (t) => {
    const env = warmUser(t);
    const { printed, kept } = await link(tinyPackage(t), bare(env));
    assert.equal(kept, false);
    assert.deepEqual(printed, ['linking the addon']);
  });

  test('a working link by hand is kept', async (t) => {
    const env = warmUser(t);
    const packageFolder = tinyPackage(t);
    await link(packageFolder, env);
    rmSync(join(packageFolder, 'lib', 'tandem.json'));
    rmSync(join(packageFolder, 'deps', 'lib'));
    cpSync(dirname(libraryOf(env)), join(packageFolder, 'deps', 'lib'), { recursive: true });
    const { by, kept } = await link(packageFolder, bare(env), { source: null });
    assert.deepEqual({ by, kept }, { by: 'hand', kept: true });
  });

  test('an addon with the recipe of an older tandem is built again', async (t) => {
    const env = warmUser(t);
    const packageFolder = tinyPackage(t);
    const { recipe } = await link(packageFolder, env);
    const stamp = join(packageFolder, 'lib', 'tandem.json');
    writeFileSync(stamp, readFileSync(stamp, 'utf8').replace(recipe, 'older'));
    assert.deepEqual((await link(packageFolder, env)).printed, ['linking the addon']);
  });

  test('a cached library that was changed on the disk is found by its hash and fetched again', async (t) => {
    const env = warmUser(t);
    const bytes = readFileSync(libraryOf(env));
    writeFileSync(libraryOf(env), Buffer.from(bytes).fill(1, bytes.length - 4));
    const { printed } = await link(tinyPackage(t), env);
    assert.match(printed[0]!, /libtensorflow_cc\.so\.2 is damaged/);
    assert.deepEqual(readFileSync(libraryOf(env)), bytes);
  });

  test('a linked package with a truncated library is not kept', async (t) => {
    const env = warmUser(t);
    const packageFolder = tinyPackage(t);
    await link(packageFolder, env);
    truncateSync(libraryOf(env), 100);
    // It must be fetched again, which fails without Python.
    await assert.rejects(link(packageFolder, bare(env)), { message: /^cannot fetch tiny-tensorflow/ });
  });

  test('a wheel with a wrong hash is refused and removed', async (t) => {
    const env = userOf(t, index);
    const packageFolder = tinyPackage(t);
    const other = { ...source, wheels: [{ ...source.wheels[0]!, sha256: '0'.repeat(64) }] };
    await assert.rejects(linkTensorflow({ kind: 'cpu', packageFolder, env, source: other }), {
      code: 'TANDEM_SETUP_FAILED',
      message: /its sha256 is [0-9a-f]{64}, not 0{64}/,
    });
    assert.deepEqual(readdirSync(cacheOf(env)), []);
    assert.equal(existsSync(addonFile(packageFolder)), false);
  });

  test('killed during the download: the next run repairs it', async (t) => {
    const env = userOf(t, index);
    const packageFolder = tinyPackage(t);
    // A Python that writes half a wheel and then kills tandem.
    const script = `#!/bin/sh
[ "$1" = -m ] || exec ${pythonPath()} "$@"
while [ "$1" != --dest ]; do shift; done
echo half > "$2/${source.wheels[0]!.file}"
kill -9 $PPID
`;
    const deadly = program(t, 'python3', script, env);
    const entry = new URL('../../src/setup/link-tensorflow.js', import.meta.url);
    const options = JSON.stringify({ kind: 'cpu', packageFolder, source });
    const child = spawn(
      process.execPath,
      ['-e', `import(${JSON.stringify(entry)}).then((m) => m.linkTensorflow(${options}))`],
      {
        env: deadly,
        stdio: 'ignore',
      },
    );
    const [, signal] = await once(child, 'close');
    assert.equal(signal, 'SIGKILL');
    assert.deepEqual(readdirSync(cacheOf(env)).sort(), ['setup.lock', `${source.name}.partial`].sort());
    assert.equal((await link(packageFolder, env)).version, '9.9.9');
    assert.deepEqual(readdirSync(cacheOf(env)), [source.name]);
  });

  test('of two concurrent setups one fetches and the other waits', async (t) => {
    const env = userOf(t, index);
    const both = await Promise.all([link(tinyPackage(t), env), link(tinyPackage(t), env)]);
    const printed = both.flatMap((result) => result.printed);
    assert.equal(printed.filter((line) => line.startsWith('fetching')).length, 1);
    assert.equal(printed.filter((line) => line.startsWith('waiting for process')).length, 1);
  });

  test('without Python: what, why, and what to type', async (t) => {
    await assert.rejects(link(tinyPackage(t), bare(userOf(t, index))), {
      code: 'TANDEM_SETUP_FAILED',
      message: 'cannot fetch tiny-tensorflow-9.9.9: there is no python3 on the PATH',
      remedy: /python3-pip/,
    });
  });

  test('without pip', async (t) => {
    // -S disables site-packages, which contains pip.
    const env = program(t, 'python3', `#!/bin/sh\nexec ${pythonPath()} -S -I "$@"\n`, userOf(t, index));
    await assert.rejects(link(tinyPackage(t), env), {
      message: /^cannot fetch tiny-tensorflow-9\.9\.9: python3 \(3\.\S+\) has no pip$/,
    });
  });

  test('if the index has no such wheel, the error quotes pip', async (t) => {
    const env = { ...userOf(t, index), PIP_FIND_LINKS: scratch(t) };
    await assert.rejects(link(tinyPackage(t), env), {
      message: /^cannot fetch tiny_tensorflow\S+: pip reports "ERROR: No matching distribution found/,
      remedy: /pip config list/,
    });
  });

  test('without a compiler: an error, and after installing one the library is not fetched again', async (t) => {
    const env = warmUser(t);
    const packageFolder = tinyPackage(t);
    rmSync(join(cacheOf(env), source.name, 'addon'), { recursive: true });
    await assert.rejects(link(packageFolder, { ...env, CXX: 'no-such-compiler' }), {
      message: "cannot build TensorFlow's addon: CXX names no-such-compiler, which does not run",
      remedy: /apt-get install g\+\+/,
    });
    assert.deepEqual((await link(packageFolder, env)).printed, ['linking the addon']);
  });

  test('the error of a failed build quotes the compiler, and no partial files stay', async (t) => {
    const env = warmUser(t);
    const packageFolder = tinyPackage(t);
    writeFiles(packageFolder, { 'binding/tfjs_backend.cc': '#error too old\n' });
    await assert.rejects(link(packageFolder, env), { message: /g\+\+ reports ".*#error too old"/ });
    const addons = join(cacheOf(env), source.name, 'addon');
    assert.deepEqual(readdirSync(addons), readdirSync(join(warmCache, source.name, 'addon')));
  });

  test('an addon that does not load is an error, and the next run builds it again', async (t) => {
    const env = warmUser(t);
    const packageFolder = tinyPackage(t);
    writeFiles(packageFolder, { 'binding/tfjs_backend.cc': 'extern int nowhere; int* backend = &nowhere;\n' });
    await assert.rejects(link(packageFolder, env), { message: /does not work: .*undefined symbol/ });
    assert.equal(existsSync(join(cacheOf(env), source.name, 'addon')), false);
  });

  test('on a platform without a published library, the error names what works instead', async (t) => {
    const failing = link(tinyPackage(t), userOf(t, index), { source: null });
    await assert.rejects(failing, { message: /no TensorFlow library is published/, remedy: /onnxruntime works here/ });
  });

  test('a disk without enough space is refused before anything is fetched', async (t) => {
    const env = userOf(t, index);
    const huge = { ...source, diskBytes: 1e18 };
    await assert.rejects(linkTensorflow({ kind: 'cpu', packageFolder: tinyPackage(t), env, source: huge }), {
      message: /needs 1000000000\.0 GB in .*, but .* GB are free$/,
      remedy: /XDG_CACHE_HOME/,
    });
    assert.deepEqual(readdirSync(cacheOf(env)), []);
  });

  /** A package whose host answers, with this shell command as install script. */
  async function offering(t: TestContext, install: string) {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const packageFolder = tinyPackage(t);
    const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}/built`;
    const binary = { host, remote_path: './napi-v{napi_build_version}/{version}/' };
    writeFiles(packageFolder, {
      'package.json': JSON.stringify({
        name: 'tfjs-node',
        version: '1.0.0',
        main: 'index.js',
        scripts: { install },
        binary,
      }),
      'scripts/get-addon-name.js': `console.log('CPU-linux-1.0.0.tar.gz')`,
    });
    return { packageFolder, asked };
  }

  test('the package’s own download is used if its host answers', async (t) => {
    const env = warmUser(t);
    const brought = tinyPackage(t);
    await link(brought, env);
    const { packageFolder, asked } = await offering(t, `cp -r ${brought}/lib ${brought}/deps .`);
    const { by, printed } = await link(packageFolder, { ...env, XDG_CACHE_HOME: scratch(t) });
    assert.equal(by, 'package');
    assert.deepEqual(printed, ["running the package's own download"]);
    assert.deepEqual(asked, ['HEAD /built/napi-v8/1.0.0/CPU-linux-1.0.0.tar.gz']);
  });

  test('a package’s own download that fails leaves no files, and the wheel is fetched', async (t) => {
    const { packageFolder } = await offering(t, 'mkdir -p lib/napi-v8 && echo torn > lib/napi-v8/tfjs_binding.node');
    const { by, printed } = await link(packageFolder, userOf(t, index));
    assert.equal(by, 'wheel');
    assert.equal(printed[1], "the package's own download did not work: fetching the published wheel");
  });
});

function pythonPath(): string {
  const folder = process.env.PATH!.split(':').find((path) => existsSync(join(path, 'python3')));
  return join(folder!, 'python3');
}
