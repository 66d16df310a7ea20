/** A tiny but complete TensorFlow: a wheel that real pip fetches from a folder, with a library that a real compiler links. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { LibrarySource } from '../../src/setup/tensorflow-wheels.js';

const WHEEL = 'tiny_tensorflow-9.9.9-py3-none-any.whl';

const WHEEL_FILES: Record<string, string> = {
  'tensorflow/include/tensorflow/c/c_api.h': 'extern "C" const char* TF_Version();\n',
  'tensorflow/include/unwanted/big.h': 'no source includes this\n',
  'tiny_tensorflow-9.9.9.dist-info/METADATA': 'Metadata-Version: 2.1\nName: tiny-tensorflow\nVersion: 9.9.9\n',
  'tiny_tensorflow-9.9.9.dist-info/WHEEL':
    'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-any\n',
  'tiny_tensorflow-9.9.9.dist-info/RECORD': '',
};

const PACKAGE_FILES: Record<string, string> = {
  'package.json': '{"name": "tfjs-node", "version": "1.0.0", "main": "index.js"}',
  'index.js': `
    const addon = require('./lib/napi-v8/tfjs_binding.node');
    exports.tensor2d = (values) => values;
    exports.matMul = () => ({ data: async () => [4, 0, 0, 4] });
    exports.backend = () => ({ binding: { TF_Version: addon.version }, isUsingGpuDevice: false });`,
  'binding/tfjs_backend.cc': 'int backend() { return 0; }\n',
  'binding/tfjs_binding.cc': `
    #include <node_api.h>
    #include "tensorflow/c/c_api.h"
    static napi_value init(napi_env env, napi_value exports) {
      napi_value version;
      napi_create_string_utf8(env, TF_Version(), NAPI_AUTO_LENGTH, &version);
      napi_set_named_property(env, exports, "version", version);
      return exports;
    }
    NAPI_MODULE(tfjs_binding, init)`,
};

/** What is missing for the tests, or undefined if they can run. */
export function missingTools(): string | undefined {
  const works = (command: string, ...args: string[]) => {
    try {
      execFileSync(command, args, { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  if (process.platform !== 'linux') return 'the library is linked on Linux only';
  if (!works('g++', '--version')) return 'there is no g++';
  if (!works('python3', '-m', 'pip', '--version')) return 'there is no python3 with pip';
  return undefined;
}

/** A folder that is removed at the end of the test. */
export function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-setup-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function writeFiles(folder: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Puts a program of this name first on the PATH of `env`. */
export function program(t: TestContext, name: string, script: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const folder = scratch(t);
  writeFileSync(join(folder, name), script);
  chmodSync(join(folder, name), 0o755);
  return { ...env, PATH: `${folder}${delimiter}${env.PATH}` };
}

/** Builds the wheel once; `index` is the folder that pip uses as its index. */
export function tinyTensorflow(index: string): LibrarySource {
  const build = join(index, 'build');
  writeFiles(build, WHEEL_FILES);
  for (const [name, code] of [
    ['libtensorflow_cc', 'extern "C" const char* TF_Version() { return "9.9.9"; }'],
    ['libtensorflow_framework', 'int framework() { return 0; }'],
  ]) {
    const file = `tensorflow/${name}.so.2`;
    writeFileSync(join(build, `${name}.cc`), code!);
    execFileSync('g++', ['-shared', '-fPIC', `-Wl,-soname,${name}.so.2`, '-o', file, `${name}.cc`], { cwd: build });
  }
  const zip = `import shutil; shutil.make_archive('../wheel', 'zip', '.'); shutil.move('../wheel.zip', '../${WHEEL}')`;
  execFileSync('python3', ['-c', zip], { cwd: build });
  const members = ['tensorflow/lib*.so.2', 'tensorflow/include/tensorflow/c/*.h'];
  const sha256 = createHash('sha256')
    .update(readFileSync(join(index, WHEEL)))
    .digest('hex');
  return {
    name: 'tiny-tensorflow-9.9.9',
    downloadBytes: 1e4,
    diskBytes: 1e5,
    wheels: [{ file: WHEEL, sha256, members }],
  };
}

/** A separate user: an empty cache, and pip with only the folder `index`. */
export function userOf(t: TestContext, index: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    XDG_CACHE_HOME: scratch(t),
    PIP_NO_INDEX: '1',
    PIP_FIND_LINKS: index,
    PIP_CONFIG_FILE: '/dev/null',
  };
}

/** The package after npm with install scripts denied: sources, no library, no addon. */
export function tinyPackage(t: TestContext): string {
  const folder = scratch(t);
  writeFiles(folder, PACKAGE_FILES);
  return folder;
}
