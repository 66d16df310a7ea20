/** Settles how the images of a job become rows of its model: from `--image`, the model's preprocessor_config.json, and the model's input. */
import { dirname, join } from 'node:path';
import { TandemError } from '../../errors.js';
import {
  type FoundSettings,
  type ImageSettings,
  keysOf,
  mergeSettings,
  settingsFrom,
} from '../../rows/images/image-settings.js';
import { PREPROCESSOR_CONFIG, readPreprocessorConfig } from '../../rows/images/preprocessor-config.js';
import { type Recipe, recipeFor, shapeOf } from '../../rows/images/recipe.js';
import { checkRowPackages } from '../../rows/row-packages.js';
import { formatSpec, type TensorSpec } from '../../tensor.js';

export interface ImageTask {
  readonly recipe: Recipe;
  readonly input: TensorSpec;
  /** What was read from where, for a person. */
  readonly origins: readonly string[];
}

export interface ImageRequest {
  /** The model's file. */
  readonly model: string;
  /** The inputs that follow the rows, with the rows' axis in front. */
  readonly inputs: readonly TensorSpec[];
  /** Those of `--image`, which win. */
  readonly image?: ImageSettings | undefined;
}

/** Throws TANDEM_USAGE, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED, TANDEM_PACKAGE_MISSING. */
export async function settleImages({ model, inputs, image }: ImageRequest): Promise<ImageTask> {
  // Before anything is loaded; the workers find out whether it works.
  checkRowPackages('images');
  const [fed, second] = inputs;
  if (!fed || second) throw severalInputs(inputs);
  const input = { ...fed, shape: fed.shape.slice(1) };
  const config = await configOf(model);
  const flags = settingsFrom('--image', image ?? {});
  const found = config ? mergeSettings(flags, config) : flags;
  if (keysOf(found.settings).length === 0) throw nothingKnown(input, model);
  const recipe = recipeFor(input, found);
  return { recipe, input, origins: describe(recipe, found, input) };
}

/** Beside the model's file, or beside the folder `onnx` that it is in. */
async function configOf(model: string): Promise<FoundSettings | null> {
  const folder = dirname(model);
  return (await readPreprocessorConfig(folder)) ?? readPreprocessorConfig(dirname(folder));
}

function describe(recipe: Recipe, { settings, origins }: FoundSettings, input: TensorSpec): string[] {
  const shown = keysOf(settings).map((key) => `${key} ${textOf(settings[key])} (${origins.get(key)})`);
  if (!settings.layout) shown.push(`layout ${recipe.layout} (the model's input)`);
  if (!settings.resample && recipe.fit.kind !== 'none') shown.push(`resample ${recipe.resample} (default)`);
  if (!settings.color) shown.push(`color ${recipe.color} (default)`);
  return [`images become "${input.name}" [${shapeOf(recipe).join(', ')}]: ${shown.join(', ')}`];
}

function textOf(value: ImageSettings[keyof ImageSettings]): string {
  if (value === null) return 'none';
  if (typeof value === 'number')
    return value > 0 && value < 1 && Number.isInteger(1 / value) ? `1/${1 / value}` : String(value);
  if (typeof value !== 'object') return String(value);
  return 'width' in value ? `${value.width}x${value.height}` : value.map(Number).join('/');
}

function severalInputs(inputs: readonly TensorSpec[]): TandemError {
  const names = inputs.map((input) => `"${input.name}" ${formatSpec(input)}`);
  return new TandemError(
    'TANDEM_USAGE',
    `an image feeds one input, and the rows feed ${inputs.length}: ${names.join(', ')}`,
    {
      remedy: 'give the others a value for all rows: --set NAME=VALUE',
    },
  );
}

function nothingKnown(input: TensorSpec, model: string): TandemError {
  const [a, b, c] = input.shape;
  const size = a === 3 || a === 1 ? [c, b] : [b, a];
  const known = size.every((dim) => typeof dim === 'number') ? size.join('x') : 'WIDTHxHEIGHT';
  const config = join(dirname(model), PREPROCESSOR_CONFIG);
  return new TandemError(
    'TANDEM_USAGE',
    `nothing says how images become the input "${input.name}" ${formatSpec(input)}: there is no ${config}`,
    {
      remedy: `add what the model was trained with, for example: --image "resize=${known},scale=1/255"`,
    },
  );
}
