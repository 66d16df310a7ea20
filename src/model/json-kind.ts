/** The kind of a JSON file that is not a model.json: another program's description of a model, or a file of tandem's own. */
import { dirname } from 'node:path';
import { shellWord } from '../shell-word.js';
import { type ForeignKind, KERAS_TO_GRAPH, optimumFolderCommand } from './file-kind.js';

interface Row {
  readonly what: string;
  /** Keys that the object must have. */
  readonly keys: readonly string[];
  readonly remedy: (file: string) => string;
}

const ofTransformers = (file: string) =>
  `give the folder's .onnx file; or if there is none: ${optimumFolderCommand(dirname(file))}`;
const fromKeras = () =>
  `load it in Keras with its weights and save both: model.save("model.h5"), then: ${KERAS_TO_GRAPH}`;
const withPlan = (file: string) => `give the model, then its plan: tandem run MODEL --plan ${shellWord(file)}`;

/** The first entry with all keys present is used. */
const ROWS: readonly Row[] = [
  { what: 'an index of weights, not a model', keys: ['metadata', 'weight_map'], remedy: ofTransformers },
  { what: "a model's tokenizer", keys: ['added_tokens', 'model'], remedy: ofTransformers },
  { what: "a tokenizer's configuration", keys: ['tokenizer_class'], remedy: ofTransformers },
  { what: 'the configuration of a Transformers model', keys: ['model_type'], remedy: ofTransformers },
  { what: 'the configuration of a Transformers model', keys: ['architectures'], remedy: ofTransformers },
  { what: 'a Keras architecture without weights', keys: ['class_name', 'config'], remedy: fromKeras },
  { what: 'a plan of tandem, not a model', keys: ['machine', 'plan'], remedy: withPlan },
];

export function jsonKind(file: string, object: Readonly<Record<string, unknown>>): ForeignKind | null {
  const row = ROWS.find(({ keys }) => keys.every((key) => key in object));
  return row ? { what: row.what, remedy: row.remedy(file), code: 'TANDEM_MODEL_UNSUPPORTED' } : null;
}
