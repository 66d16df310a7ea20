/** `tandem submit`: puts a job into a queue, in shards, for the workers of any number of machines. */
import { Command, Option } from 'commander';
import { queueAddress } from '../cluster/queue-address.js';
import { EXIT, TandemError } from '../errors.js';
import type { TaskName } from '../tasks/task-request.js';
import { printable } from './fail.js';
import { ProgressBar } from './progress.js';
import { queueOption } from './queue-flag.js';
import { listenerOf, type Request, requestOf } from './run.js';
import { type RunFlags, runCommand } from './run-flags.js';
import { stopOnSignals } from './signals.js';
import { requestOfTask } from './task.js';
import { taskCommand } from './task-flags.js';
import { exitOfJob, watchJob } from './watch-job.js';

interface SubmitFlags {
  readonly queue?: string;
  readonly shards?: number;
  readonly store?: string;
  readonly watch?: boolean;
}

const TASKS: readonly TaskName[] = ['embed', 'classify', 'rerank'];
/** Enough for a dozen machines to end together, and each long enough that loading the model is little of it. */
const DEFAULT_SHARDS = 60;

export function submitCommand(): Command {
  const command = new Command('submit').description(
    'split a job in shards and put them into a queue: tandem submit MODEL …, or tandem submit embed|classify|rerank MODEL …',
  );
  const plain = runCommand(async (model, flags) => {
    const { own, rest } = divided(flags);
    process.exitCode = await submit(requestOf(model, rest), own);
  });
  command.addCommand(withQueue(plain), { isDefault: true });
  for (const name of TASKS) {
    const task = taskCommand(name, async (model, flags) => {
      const { own, rest } = divided(flags);
      process.exitCode = await submit(requestOfTask(name, model, rest), own);
    });
    command.addCommand(withQueue(task));
  }
  return command;
}

/** What is of the queue, and what is of the job: that is held against the manifest. Throws TANDEM_USAGE. */
function divided<Flags extends RunFlags>(flags: Flags): { readonly own: SubmitFlags; readonly rest: Flags } {
  const { queue, shards, watch, store, shard, merge, ...rest } = flags as Flags & SubmitFlags;
  if (shard !== undefined || merge === false) {
    throw new TandemError('TANDEM_USAGE', '--shard and --no-merge are for jobs without a queue', {
      remedy: 'tandem submit takes --shards N; its workers merge',
    });
  }
  return { own: { queue, shards, watch, store }, rest: rest as unknown as Flags };
}

function withQueue(command: Command): Command {
  return command
    .addOption(queueOption())
    .addOption(new Option('--shards <n>', `in how many parts (default: ${DEFAULT_SHARDS})`).argParser(shardsFrom))
    .option('--watch', 'stay until the output is there, and show the progress');
}

async function submit(
  request: Request,
  { queue, shards = DEFAULT_SHARDS, store, watch }: SubmitFlags,
): Promise<number> {
  const address = queueAddress(queue);
  const { placeJob } = await import('../cluster/submit-job.js');
  const bar = new ProgressBar(process.stderr, { quiet: request.quiet });
  const stop = stopOnSignals(() => {});
  try {
    const { onSummary: _, onPlan: __, ...listener } = listenerOf(request, bar);
    const placing = { address, shards, store, listener };
    const placed = await stop.race(placeJob(request, placing));
    bar.clear();
    const { entry, done, added, merged } = placed;
    if (request.json && !watch) process.stdout.write(`${JSON.stringify({ ...entry, done, added, merged })}\n`);
    if (!request.quiet) process.stderr.write(merged ? 'tandem: nothing is left to do\n' : placedText(placed));
    if (merged || !watch) return EXIT.ok;
    // A Redis that has lost the job is given it again.
    const onForgotten = async () => void (await placeJob(request, placing));
    const job = await watchJob(entry.id, address, { quiet: request.quiet ?? false, onForgotten, signal: stop.signal });
    if (!job) return stop.exitCode!;
    if (request.json) process.stdout.write(`${JSON.stringify(job)}\n`);
    return exitOfJob(job);
  } finally {
    bar.clear();
    stop.release();
  }
}

function placedText({
  entry,
  added,
  done,
  store,
}: {
  readonly entry: { readonly id: string; readonly shards: number };
  readonly added: number;
  readonly done: number;
  readonly store: string;
}): string {
  const before = done > 0 ? `, ${done} were done before` : '';
  return `tandem: job ${entry.id.slice(0, 8)} is in the queue: ${added} of ${entry.shards} shards added${before}
        shards are committed to ${printable(store)}, which every machine must see
        on each machine: tandem worker --queue ADDRESS; progress: tandem status --queue ADDRESS\n`;
}

function shardsFrom(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new TandemError('TANDEM_USAGE', `--shards "${text}" is no number of shards`, {
    remedy: 'for example --shards 60',
  });
}
