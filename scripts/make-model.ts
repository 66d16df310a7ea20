/** Generates small models without a download; the same seed gives the same bytes: node dist/scripts/make-model.js NAME OUTDIR [--width N] … */
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { APPLICATIONS } from './make-model/applications.js';
import { GRAPH_MODELS } from './make-model/graph-models.js';
import { LAYERS_MODELS, type ModelRecipe, type ModelSize } from './make-model/layers-models.js';
import { writeModel } from './make-model/model-files.js';

/** The small models, for tests. */
export const MODELS: Readonly<Record<string, ModelRecipe>> = { ...LAYERS_MODELS, ...GRAPH_MODELS };

/** All models. */
export const ALL_MODELS: Readonly<Record<string, ModelRecipe>> = { ...MODELS, ...APPLICATIONS };

export interface MakeOptions extends Partial<ModelSize> {
  readonly seed?: number;
  readonly shardBytes?: number;
}

const SHARD_BYTES = 4 * 2 ** 20;

/** Writes model `name` into `folder` and returns the path of its model.json. */
export async function makeModel(
  name: string,
  folder: string,
  { seed = 1, shardBytes = SHARD_BYTES, ...size }: MakeOptions = {},
): Promise<string> {
  const recipe = ALL_MODELS[name];
  if (!recipe) throw new Error(`no model "${name}"; the models are ${Object.keys(ALL_MODELS).join(', ')}`);
  const given = Object.fromEntries(Object.entries(size).filter(([, value]) => value !== undefined));
  return writeModel(folder, recipe.make({ ...recipe.size, ...given }), { seed, shardBytes });
}

async function main(): Promise<void> {
  const number = { type: 'string' } as const;
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { width: number, blocks: number, length: number, seed: number, 'shard-bytes': number },
  });
  const [name, folder] = positionals;
  if (!name || !folder) {
    console.error(
      `usage: make-model NAME OUTDIR [--width N] [--blocks N] [--length N] [--seed N] [--shard-bytes N]\nNAME: ${Object.keys(ALL_MODELS).join(', ')}`,
    );
    process.exitCode = 2;
    return;
  }
  const { 'shard-bytes': shardBytes, ...rest } = values;
  const options = Object.fromEntries(
    Object.entries({ ...rest, shardBytes })
      .filter(([, v]) => v !== undefined)
      .map(([key, v]) => [key, Number(v)]),
  );
  console.log(await makeModel(name, folder, options));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
