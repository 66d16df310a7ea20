/** WAV files as the rows of a job: their windows, the state that is carried between them, and the rate that the model takes. */
import { TandemError } from '../errors.js';
import { fedInputs } from '../model/fed-inputs.js';
import type { ModelGraph } from '../model/graph.js';
import { nearestName } from '../nearest-name.js';
import { type SoundRecipe, SoundSource } from '../rows/audio/sound-source.js';
import { parseWindow, type WindowSettings } from '../rows/audio/window-flag.js';
import { STANDARD_STREAM } from '../rows/format.js';
import { filesOf } from '../rows/input-files.js';
import type { SourceInput } from '../rows/open-source.js';
import { formatSpec, type TensorSpec } from '../tensor.js';
import { fileRows, identityOf } from './file-rows.js';
import type { JobRows, RowsRequest } from './job-rows.js';

/** Inputs that models of sound have for the samples in a second. */
const RATE_INPUTS = ['sr', 'sample_rate', 'sampling_rate'];

/** Throws TANDEM_USAGE, TANDEM_INPUT_MISSING, TANDEM_MODEL_UNSUPPORTED. */
export async function soundRows(graph: ModelGraph, request: RowsRequest, input: SourceInput): Promise<JobRows> {
  const paths = filesOf(input);
  if (paths[0] === STANDARD_STREAM) {
    throw new TandemError('TANDEM_USAGE', 'WAV cannot be read from stdin: each file is a row', {
      remedy: 'name files, a folder, or a glob such as calls/*.wav',
    });
  }
  const specs = fedInputs(graph).map((spec) => ({ ...spec, shape: spec.shape.slice(1) }));
  const carry = carriedOf(graph, specs, request.carry ?? {});
  const sound = soundInput(specs, carry);
  const settings = windowOf(request.window, sound);
  const rate = rateOf(settings, request.set ?? {});
  const rowSpecs = specs.map((spec) => (spec === sound ? withLength(spec, settings.length) : closed(spec)));
  const { allowNonFinite = false } = request;
  const recipe: SoundRecipe = { settings, rate, allowNonFinite, rowSpecs, input: sound.name, carry };
  const files = fileRows(paths, request.input, request.idsFrom);
  const { hop, length, lead } = settings;
  const carried = [...carry].map(([to, from]) => `${from} of a window is ${to} of the next`);
  return {
    input,
    identity: { input: await identityOf(files), windows: JSON.stringify({ ...settings, rate, carry: [...carry] }) },
    origins: [
      [
        `windows of ${length} samples, one every ${hop}`,
        ...(lead > 0 ? [`the first begins ${lead} before the file`] : []),
        `${rate} samples in a second`,
        ...carried,
      ].join(', '),
    ],
    outputs: resultsOf(graph, carry),
    ragged: 'as long as each file has windows',
    open: async () => new SoundSource(files, recipe),
  };
}

function publicOutputs({ outputs, outputNames }: ModelGraph): string[] {
  return outputs.map((name) => outputNames?.get(name) ?? name);
}

/** Outputs that are not carried. */
function resultsOf(graph: ModelGraph, carry: ReadonlyMap<string, string>): string[] {
  const carried = new Set(carry.values());
  const results = publicOutputs(graph).filter((name) => !carried.has(name));
  if (results.length > 0) return results;
  throw new TandemError('TANDEM_USAGE', 'all outputs of the model are carried, so there are no results', {
    remedy: 'leave out a --carry',
  });
}

function carriedOf(
  graph: ModelGraph,
  specs: readonly TensorSpec[],
  given: Readonly<Record<string, string>>,
): Map<string, string> {
  const outputs = publicOutputs(graph);
  for (const [input, output] of Object.entries(given)) {
    const known = specs.map(({ name }) => name);
    if (!known.includes(input))
      throw unknown(`--carry ${input}=${output}: no input that follows the rows`, input, known);
    if (!outputs.includes(output)) throw unknown(`--carry ${input}=${output}: no output`, output, outputs);
  }
  return new Map(Object.entries(given));
}

function unknown(what: string, name: string, known: readonly string[]): TandemError {
  const nearest = nearestName(name, known);
  return new TandemError('TANDEM_USAGE', `${what} is named "${name}"`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}there are ${known.join(', ')}`,
  });
}

/** The one input that is not carried. */
function soundInput(specs: readonly TensorSpec[], carry: ReadonlyMap<string, string>): TensorSpec {
  const [sound, second] = specs.filter(({ name }) => !carry.has(name));
  if (!sound)
    throw new TandemError('TANDEM_USAGE', 'all inputs are carried, so none takes the samples', {
      remedy: 'leave out a --carry',
    });
  if (second) {
    const names = specs.filter(({ name }) => !carry.has(name)).map((spec) => `"${spec.name}" ${formatSpec(spec)}`);
    throw new TandemError(
      'TANDEM_USAGE',
      `the samples of a window are one input, and there are ${names.join(' and ')}`,
      {
        remedy:
          'say of the others --carry INPUT=OUTPUT (given from window to window) or --set NAME=VALUE (the same for all)',
      },
    );
  }
  const open = sound.shape.filter((dim) => dim !== 1);
  if (sound.dtype === 'float32' && open.length === 1 && !sound.openRank) return sound;
  throw new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `the input "${sound.name}" ${formatSpec(sound)} takes no samples of sound`,
    {
      remedy: 'samples are float32 in one axis besides the rows: give features as NPY',
    },
  );
}

function windowOf(text: string | undefined, sound: TensorSpec): WindowSettings {
  const own = sound.shape.find((dim) => dim !== 1) ?? null;
  if (text === undefined) {
    throw new TandemError('TANDEM_USAGE', 'nothing says how many samples of a WAV file are one window', {
      remedy: `add --window ${own ?? 512}, and hop= and rate= where they differ: --window ${own ?? 512},hop=256,rate=16000`,
    });
  }
  const settings = parseWindow(text, '--window');
  if (own === null || own === settings.length) return settings;
  throw new TandemError('TANDEM_USAGE', `--window ${text}: the input "${sound.name}" takes ${own} samples`, {
    remedy: `write --window ${own}`,
  });
}

function rateOf({ rate }: WindowSettings, set: NonNullable<RowsRequest['set']>): number {
  const given = RATE_INPUTS.map((name) => Number(set[name])).find((value) => Number.isInteger(value) && value > 0);
  if (rate !== undefined && given !== undefined && rate !== given) {
    throw new TandemError('TANDEM_USAGE', `--window says rate=${rate}, and --set says ${given}`, {
      remedy: 'give one of them',
    });
  }
  const found = rate ?? given;
  if (found !== undefined) return found;
  throw new TandemError('TANDEM_USAGE', 'nothing says how many samples in a second the model takes', {
    remedy: 'add rate= to --window, for example rate=16000, or --set sr=16000 where the model has such an input',
  });
}

function withLength(spec: TensorSpec, length: number): TensorSpec {
  return { ...spec, shape: spec.shape.map((dim) => (dim === 1 ? 1 : length)) };
}

/** What is carried must have one size. */
function closed(spec: TensorSpec): TensorSpec {
  if (!spec.openRank && !spec.shape.includes(null)) return spec;
  throw new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    `the input "${spec.name}" ${formatSpec(spec)} is carried, and its size is open`,
    {
      remedy: 'export the model with fixed dimensions, all but the batch',
    },
  );
}
