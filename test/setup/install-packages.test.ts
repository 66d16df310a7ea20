/** The package manager and the folder for installing a missing package. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatInstall, installCommand, installPackages } from '../../src/setup/install-packages.js';

/** A project with these files; only the content of package.json matters. */
function project(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-project-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

test('the project is the folder whose node_modules contains tandem; a checkout is not a project', async () => {
  const projectOf = async (own: string) => (await installCommand(['a@1.0.0'], own))?.cwd ?? null;
  assert.equal(await projectOf('/home/me/app/node_modules/tandem'), '/home/me/app');
  assert.equal(await projectOf('/home/me/app/node_modules/.pnpm/tandem@0.1.0_x/node_modules/tandem'), '/home/me/app');
  assert.equal(await projectOf('/home/me/node_modules/app/node_modules/tandem'), '/home/me/node_modules/app');
  assert.equal(await projectOf('/usr/lib/node_modules/tandem'), '/usr/lib');
  assert.equal(await projectOf('/home/me/tandem'), null);
});

const MANIFEST = { 'package.json': '{"name":"user"}' };
const CASES: readonly [string, Readonly<Record<string, string>>, readonly string[]][] = [
  ['no files of a manager', MANIFEST, ['npm', 'i', '--ignore-scripts', '--save-exact']],
  ['npm', { ...MANIFEST, 'package-lock.json': '{}' }, ['npm', 'i', '--ignore-scripts', '--save-exact']],
  ['pnpm', { ...MANIFEST, 'pnpm-lock.yaml': '' }, ['pnpm', 'add', '--ignore-scripts', '--save-exact']],
  [
    'pnpm with a lock file of npm',
    { ...MANIFEST, 'package-lock.json': '{}', 'node_modules/.pnpm/lock.yaml': '' },
    ['pnpm', 'add'],
  ],
  ['yarn 1', { ...MANIFEST, 'yarn.lock': '' }, ['yarn', 'add', '--ignore-scripts', '--exact']],
  ['yarn 4', { ...MANIFEST, 'node_modules/.yarn-state.yml': '' }, ['yarn', 'add', '--mode=skip-build', '--exact']],
  [
    'yarn 4 by the manifest',
    { 'package.json': '{"packageManager":"yarn@4.5.0"}' },
    ['yarn', 'add', '--mode=skip-build'],
  ],
  ['bun', { ...MANIFEST, 'bun.lock': '' }, ['bun', 'add', '--ignore-scripts']],
  ['installed for all projects', {}, ['npm', 'i', '-g', '--ignore-scripts']],
];
for (const [name, files, begins] of CASES) {
  test(`the command of ${name}`, async (t) => {
    const folder = project(t, files);
    const { command, args, cwd } = (await installCommand(
      ['a@1.0.0', 'b@2.0.0'],
      join(folder, 'node_modules', 'tandem'),
    ))!;
    assert.deepEqual([command, ...args].slice(0, begins.length), begins);
    assert.deepEqual(args.slice(-2), ['a@1.0.0', 'b@2.0.0']);
    assert.equal(cwd, folder);
  });
}

test('a failed installation is an error with the command to type', async (t) => {
  const cwd = project(t, MANIFEST);
  const install = { command: 'npm', args: ['install', '--offline', '--loglevel=error', 'file:./nothing-here'], cwd };
  await assert.rejects(installPackages(install), {
    code: 'TANDEM_SETUP_FAILED',
    message: /^cannot install the npm packages: npm reports ".+"$/,
    remedy: `run the command yourself: ${formatInstall(install)}`,
  });
  // As under `npm test --silent`, whose level is inherited: npm then says nothing at all.
  const silent = { ...install, args: ['install', '--offline', '--silent', 'file:./nothing-here'] };
  await assert.rejects(installPackages(silent), { message: /npm reports "nothing; exit status [1-9]\d*"$/ });
  await assert.rejects(installPackages({ ...install, command: 'no-such-manager' }), {
    message: /there is no no-such-manager on the PATH/,
  });
});
