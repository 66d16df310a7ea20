/** xgrammar, as MLC publishes it for the web, loaded into Node: which tokens may come next in a text of a given form. */
import { readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type Library from '@mlc-ai/web-xgrammar';
import { TandemError } from '../../errors.js';
import { PEERS } from '../../package.js';

export type XGrammar = typeof Library;

export interface LoadedXGrammar {
  readonly library: XGrammar;
  /** What it has printed since it was asked last. */
  said(): string;
}

const PACKAGE = '@mlc-ai/web-xgrammar';
const require = createRequire(import.meta.url);

/**
 * A fresh copy, with a memory of its own: what it cannot read ends the copy that was asked. The file is CommonJS in a package that calls itself
 * a module, so it is compiled under another name. Throws TANDEM_PACKAGE_MISSING.
 */
export function loadXGrammar(): LoadedXGrammar {
  const lines: string[] = [];
  try {
    const file = require.resolve(PACKAGE);
    const name = join(dirname(file), 'index.cjs');
    const module = new Module(name) as Module & { _compile(source: string, name: string): void };
    module.filename = name;
    const say = (...words: unknown[]) => lines.push(words.join(' '));
    Object.assign(module, { console: { log: say, warn: say, error: say } });
    module._compile(`const console = module.console;${readFileSync(file, 'utf8')}`, name);
    return { library: module.exports as XGrammar, said: () => lines.splice(0).join('\n') };
  } catch (cause) {
    const why = (cause as Error).message.split('\n')[0];
    throw new TandemError('TANDEM_PACKAGE_MISSING', `answers of a given form need the package ${PACKAGE}: ${why}`, {
      remedy: `run: npm install --ignore-scripts ${PACKAGE}@${PEERS[PACKAGE]}`,
      cause,
    });
  }
}
