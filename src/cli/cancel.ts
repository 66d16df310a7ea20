/** `tandem cancel`: ends a job of the queue. */
import { Command } from 'commander';
import { printable } from './fail.js';
import { queueOption } from './queue-flag.js';

export function cancelCommand(): Command {
  return new Command('cancel')
    .description('end a job of a queue before it is done; the shards that are done stay in its store')
    .argument('<job>', 'the beginning of its id, or the path of its output')
    .addOption(queueOption())
    .option('--json', 'print one JSON object')
    .action(async (asked: string, { queue, json }: { readonly queue?: string; readonly json?: boolean }) => {
      const [{ cancelJob }, { queueAddress }] = await Promise.all([
        import('../cluster/cancel-job.js'),
        import('../cluster/queue-address.js'),
      ]);
      const cancelled = await cancelJob(asked, queueAddress(queue));
      const { id, output, store } = cancelled;
      const text = `tandem: job ${id.slice(0, 8)} (${printable(output)}) is cancelled\n        what is done is kept in ${printable(store)}; the same tandem submit goes on with it\n`;
      process.stdout.write(json ? `${JSON.stringify(cancelled)}\n` : text);
    });
}
