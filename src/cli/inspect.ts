/** `tandem inspect`: the model's layers by number, and the live tensors across a cut before each. */
import { Command } from 'commander';
import { inspectGiven } from '../job/inspect-model.js';
import type { RunSettings } from '../job/run-request.js';
import { settingsOf } from './config.js';
import { formatInspection } from './print-inspection.js';
import { rowsAxisOption, setOption } from './run-flags.js';

const AFTER_HELP = `
Layers are numbered as run --stage DEVICE,layers=A..B takes them. "live before it" is what a cut before the layer
carries to the next stage for each row; "forbidden" marks layers before which the model cannot be cut. Layers that
repeat are one line, with their numbers from..to; their "live before it" is of cuts between two of the repeated units.`;

interface Flags extends Pick<RunSettings, 'set' | 'rowsAxis'> {
  readonly json?: boolean;
  readonly all?: boolean;
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('list the layers of a model by number, with shapes, weights and the bytes that live across each cut')
    .argument('<model>', 'model.json, model.onnx, or a folder that holds one')
    .option('--all', 'a line for each layer, also where they repeat')
    .option('--json', 'print one JSON object')
    .addOption(setOption())
    .addOption(rowsAxisOption())
    .addHelpText('after', AFTER_HELP)
    .action(async (path: string, { json, all, ...given }: Flags) => {
      const inspection = await inspectGiven(path, settingsOf(given));
      process.stdout.write(json ? `${JSON.stringify(inspection)}\n` : formatInspection(inspection, { all }));
    });
}
