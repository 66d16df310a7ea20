/** `tandem merge`: the one output of a job in shards, once all of them are committed. */
import { Command } from 'commander';
import { readManifest, shardsFolder } from '../cluster/join-job.js';
import type { Manifest } from '../cluster/manifest.js';
import { type MergeSummary, mergeShards } from '../cluster/merge.js';
import { openStore } from '../cluster/open-store.js';
import type { Store } from '../cluster/store.js';
import { EXIT, TandemError } from '../errors.js';
import { formatRows } from '../grouped-digits.js';
import { printable } from './fail.js';
import { ALLOW_ERRORS } from './run-flags.js';
import { stopOnSignals } from './signals.js';

interface MergeFlags {
  readonly store?: string;
  readonly force?: boolean;
  readonly allowErrors?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

const AFTER_HELP = `
The last shard of a job merges by itself, unless it had --no-merge or was killed: this command does it by hand, or as a task of
its own (Slurm: sbatch --dependency=afterany:JOB). It can be given again; nothing is computed.

Exit status: 0 all rows are good, 65 done with failed rows, 73 the output exists, 75 shards are not done yet.

For example:
  tandem merge out.npy
  tandem merge out.jsonl --store s3://bucket/job-7`;

export function mergeCommand(): Command {
  return new Command('merge')
    .description('merge the shards of a job into its output')
    .argument('<output>', 'as it was given with --shard')
    .option('--store <where>', 'where the shards are (default: OUTPUT.shards)')
    .option('-f, --force', 'write over an output that exists')
    .option('--allow-errors', ALLOW_ERRORS)
    .option('-q, --quiet', 'print nothing but errors')
    .option('--json', 'print the summary as one JSON object on stdout')
    .addHelpText('after', AFTER_HELP)
    .action(async (output: string, flags: MergeFlags) => {
      process.exitCode = await merge(output, flags);
    });
}

async function merge(output: string, flags: MergeFlags): Promise<number> {
  const where = flags.store ?? shardsFolder(output);
  const store = await openStore(where);
  const manifest = await readManifest(store);
  if (manifest === null) {
    throw new TandemError('TANDEM_SHARDS_MISSING', `${store.name} has no job in shards`, {
      remedy: 'name the output, and the --store, that tandem run --shard was given',
    });
  }
  const { failedRows } = await mergeAndTell(manifest, store, flags);
  return failedRows > 0 && !flags.allowErrors ? EXIT.failedRows : EXIT.ok;
}

/** Throws as `mergeShards`. */
export async function mergeAndTell(
  manifest: Manifest,
  store: Store,
  { force, quiet, json }: Pick<MergeFlags, 'force' | 'quiet' | 'json'>,
): Promise<MergeSummary> {
  const stop = stopOnSignals(() => process.stderr.write('tandem: the merge stops; the same command does it anew\n'));
  try {
    const summary = await stop.race(mergeShards(manifest, store, { force, signal: stop.signal }));
    if (json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    if (!quiet) process.stderr.write(formatMerged(summary));
    return summary;
  } finally {
    stop.release();
  }
}

function formatMerged({
  rows,
  failedRows,
  shards,
  hosts,
  output,
  errorsFile,
  mergeSeconds,
  devices,
}: MergeSummary): string {
  const failed = errorsFile === null ? '' : `, ${formatRows(failedRows)} failed: ${printable(errorsFile)}`;
  const on = hosts.length === 1 ? hosts[0] : `${hosts.length} machines`;
  const lines = [
    `tandem: ${formatRows(rows)} of ${shards} shards from ${on} in ${printable(output)}${failed}; merged in ${mergeSeconds.toFixed(1)} s`,
  ];
  if (devices.length > 1) {
    lines.push(
      `        the shards ran on ${devices.length} kinds of devices, which may differ in the last bits: ${devices.join('; ')}`,
    );
  }
  return `${lines.join('\n')}\n`;
}
