/** An engine of the user's own: a module, named by its address, that exports `engine` and maybe `about`. */
import { createRequire } from 'node:module';
import { basename, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { TandemError } from '../errors.js';
import type { Engine } from './engine.js';
import type { EngineEntry, ProviderEntry } from './entry.js';
import { fileStamp } from './package-build.js';

/** The module's optional export `about`: fields of an entry, each optional. */
export interface OwnEngineAbout
  extends Partial<
    Pick<EngineEntry, 'formats' | 'environment' | 'startsAlone' | 'prefersProcess' | 'batchInvariant' | 'forbiddenCuts'>
  > {
  /** Default: one, `custom`, for any device. */
  readonly providers?: readonly (Pick<ProviderEntry, 'name' | 'devices'> & Partial<ProviderEntry>)[];
}

/** The exports of the module. */
export interface OwnEngineModule {
  readonly engine: Engine;
  readonly about?: OwnEngineAbout;
}

const EXAMPLE = "engine: new URL('./my-engine.js', import.meta.url)";

/** The entries of engines that were opened in this process, by id. */
const opened = new Map<string, EngineEntry>();

/** The engine of TANDEM_ENGINE_MODULE, as far as it is known before the import. */
export const customEngine: EngineEntry = entryOf('custom', fromEnvironment());

/** An entry that `openOwnEngine` has made in this process. */
export function openedEngine(id: string): EngineEntry | undefined {
  return opened.get(id);
}

/** Imports the module of TANDEM_ENGINE_MODULE, so that the entry `custom` has its `about`. */
export async function openCustomEngine(): Promise<void> {
  opened.delete('custom');
  const address = process.env.TANDEM_ENGINE_MODULE;
  if (address === undefined) return;
  const { about } = await importModule(address);
  opened.set('custom', entryOf('custom', fromEnvironment(about)));
}

/**
 * Its entry. Its id is the module's address, by which workers import it. Throws TANDEM_USAGE, TANDEM_ENGINE_MISSING.
 *
 * @param module a `file:` URL, a path, or the name of a package
 */
export async function openOwnEngine(module: string | URL): Promise<EngineEntry> {
  const address = addressOf(module);
  const { about } = await importModule(address);
  const open = async () => (await importModule(address)).engine;
  const entry = entryOf(address, { about, open, isNamed: () => true, address: () => address });
  opened.set(address, entry);
  return entry;
}

/** For a worker, which knows only the id. */
export async function importOwnEngine(address: string): Promise<Engine> {
  return (await importModule(address)).engine;
}

/** Whether it is the address of a module rather than the name of an engine in the list. */
export function isAddress(id: string): boolean {
  return id.startsWith('file:');
}

interface Source {
  readonly about?: OwnEngineAbout | undefined;
  readonly open: () => Promise<Engine>;
  readonly isNamed: () => boolean;
  readonly address: () => string;
}

function fromEnvironment(about?: OwnEngineAbout): Source {
  return {
    about,
    open: async () => (await importModule(environmentModule())).engine,
    isNamed: () => process.env.TANDEM_ENGINE_MODULE !== undefined,
    address: environmentModule,
  };
}

function entryOf(id: string, { about = {}, open, isNamed, address }: Source): EngineEntry {
  const { providers = [{ name: 'custom', devices: ['cpu', 'gpu'] }], ...own } = about;
  return {
    formats: ['onnx', 'layers-model', 'graph-model'],
    environment: () => ({}),
    startsAlone: false,
    prefersProcess: false,
    batchInvariant: true,
    forbiddenCuts: async () => new Set(),
    ...own,
    id,
    open,
    providers: providers.map((provider) => ({
      isInstalled: isNamed,
      build: () => buildOf(id, address()),
      ...provider,
    })),
    probe: () => Promise.reject(new Error('engines of your own are not probed')),
  };
}

/** The stamp of the module's own file, by which a change of the engine is recognised. */
function buildOf(id: string, address: string): string {
  const file = address.startsWith('file:') ? fileURLToPath(address) : '';
  return `${id === 'custom' ? id : basename(file)} ${fileStamp(file) ?? 'absent'}`;
}

function environmentModule(): string {
  return process.env.TANDEM_ENGINE_MODULE ?? '';
}

function addressOf(module: string | URL): string {
  if (module instanceof URL || module.startsWith('file:')) {
    const { protocol, href } = new URL(module);
    if (protocol === 'file:') return href;
    throw new TandemError('TANDEM_USAGE', `engine: ${href} is no file that workers could import`, {
      remedy: `name a module on this machine: ${EXAMPLE}`,
    });
  }
  if (/^\.{0,2}[\\/]/.test(module) || /^[a-z]:[\\/]/i.test(module)) return pathToFileURL(resolve(module)).href;
  try {
    return pathToFileURL(createRequire(resolve('package.json')).resolve(module)).href;
  } catch {
    try {
      // A package that only `import` resolves, installed next to tandem.
      return import.meta.resolve(module);
    } catch (cause) {
      throw new TandemError('TANDEM_USAGE', `there is no engine and no module "${module}"`, {
        remedy: `name the module of an engine of your own: ${EXAMPLE}`,
        cause,
      });
    }
  }
}

async function importModule(address: string): Promise<OwnEngineModule> {
  let module: Partial<OwnEngineModule>;
  try {
    module = await import(address);
  } catch (cause) {
    throw new TandemError(
      'TANDEM_ENGINE_MISSING',
      `the engine ${address} cannot be imported: ${(cause as Error).message}`,
      { remedy: `name a module that exports it: ${EXAMPLE}`, cause },
    );
  }
  if (typeof module.engine?.load === 'function' && typeof module.engine.describe === 'function') {
    return module as OwnEngineModule;
  }
  throw new TandemError('TANDEM_USAGE', `${address} exports no engine`, {
    remedy: 'export const engine = { name, load, describe }; see "Adding an engine" in CONTRIBUTING.md',
  });
}
