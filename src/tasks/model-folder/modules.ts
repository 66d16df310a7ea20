/** modules.json of sentence-transformers: what follows the model, in order. Known by the last part of their class paths, which have moved. */
import { z } from 'zod';
import { TandemError } from '../../errors.js';
import { type DenseLayer, readDense } from './dense.js';
import { type PoolingSettings, readPooling } from './pooling-settings.js';
import type { SettingsFiles } from './settings-file.js';

export type Module =
  | { readonly kind: 'pooling'; readonly pooling: PoolingSettings }
  | { readonly kind: 'dense'; readonly dense: DenseLayer }
  | { readonly kind: 'normalize' };

export interface Modules {
  /** Without the transformer. */
  readonly modules: readonly Module[];
  /** The folder of the transformer's settings, relative; usually ''. */
  readonly transformer: string;
}

const MODULES = z.array(z.looseObject({ path: z.string(), type: z.string() }));

/** `null` without a modules.json. Throws TANDEM_MODEL_UNSUPPORTED for modules that tandem does not know, TANDEM_MODEL_INVALID. */
export async function readModules(files: SettingsFiles): Promise<Modules | null> {
  const listed = await files.json('modules.json', MODULES);
  if (listed === null) return null;
  const modules: Module[] = [];
  let transformer = '';
  for (const { path, type } of listed) {
    const name = type.split('.').at(-1);
    if (name === 'Transformer') transformer = path;
    else if (name === 'Pooling') modules.push({ kind: 'pooling', pooling: await readPooling(files, path) });
    else if (name === 'Dense') modules.push({ kind: 'dense', dense: await readDense(files, path) });
    else if (name === 'Normalize') modules.push({ kind: 'normalize' });
    else throw unknownModule(type, files.folder);
  }
  return { modules, transformer };
}

function unknownModule(type: string, folder: string): TandemError {
  return new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `modules.json in ${folder} has a module of the type ${type}; tandem knows Transformer, Pooling, Dense and Normalize`,
    { remedy: 'run the model as it is with tandem run, which gives what the ONNX file returns' },
  );
}
