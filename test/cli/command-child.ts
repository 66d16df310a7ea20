/**
 * Runs one command line after the other in this process, each by the program's own entry, whose path is the argument. The arguments of each
 * command are a JSON line on stdin. After each, stderr has `ENDED` and the exit status.
 */
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { ENDED } from './command-session.js';

type Entry = { main(args: readonly string[]): Promise<number> };

const { main } = (await import(pathToFileURL(process.argv[2]!).href)) as Entry;
for await (const line of createInterface({ input: process.stdin })) {
  const args = JSON.parse(line) as string[];
  // A run writes them into its journal.
  process.argv.splice(2, Number.POSITIVE_INFINITY, ...args);
  process.stderr.write(`${ENDED}${await main(args)}\n`);
}
