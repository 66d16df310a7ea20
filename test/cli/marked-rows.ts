/** Jobs of the queue with an engine in which something happens at a marked row, so that a test knows what a worker is at and need not wait for a time. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** The first number of a marked row. */
export const MARK = 12_345;

/** All that share a job have it: results are only equal with the same engine. */
export const MARKED_ENGINE = {
  TANDEM_ENGINE_MODULE: new URL('../fixtures/marked-row-engine.js', import.meta.url).href,
  TANDEM_TEST_ROW: String(MARK),
};

export const MARKED_STAGE = ['--stage', 'cpu,provider=custom', '--isolation', 'thread', '--micro-batch', '8'];

/** A gate at the marked row: closed from now on. */
export class Gate {
  readonly env: Readonly<Record<string, string>>;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.env = { TANDEM_TEST_AT_ROW: path };
    writeFileSync(path, '');
  }

  /** Settles when a worker stands at it. A test that waits for ever is ended by its runner. */
  async reached(): Promise<void> {
    while (!existsSync(`${this.#path}.reached`)) await setTimeout(10);
    rmSync(`${this.#path}.reached`);
  }

  open(): void {
    rmSync(this.#path);
  }
}
