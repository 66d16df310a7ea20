/** Opens the rows of a job by what they are: tensors, images, or sound in windows. */
import { TandemError } from '../errors.js';
import { fedInputs } from '../model/fed-inputs.js';
import type { ModelGraph } from '../model/graph.js';
import { holdsRecords, STANDARD_STREAM } from '../rows/format.js';
import { formatOf } from '../rows/format-of-path.js';
import { filesOf, inputsOf } from '../rows/input-files.js';
import { openSource, type SourceInput } from '../rows/open-source.js';
import { endOf, type RowRange } from '../rows/row-range.js';
import { sourceWithin } from '../rows/within-range.js';
import type { ImageRows } from '../tasks/images/image-rows.js';
import { fileRows, identityOf } from './file-rows.js';
import type { JobRows, RowsRequest } from './job-rows.js';
import { openWindows } from './windows/open-windows.js';

/** Throws what the rows' format throws before a row is read: TANDEM_USAGE, TANDEM_INPUT_*, TANDEM_MODEL_*, TANDEM_PACKAGE_MISSING. */
export async function findRows(graph: ModelGraph, request: RowsRequest): Promise<JobRows> {
  const fed = fedInputs(graph);
  const { inputFormat, allowNonFinite, image, window, carry } = request;
  const input = await inputsOf(fed, request.input, inputFormat);
  const [first] = filesOf(input);
  const format = input instanceof Map ? 'npy' : formatOf(first!, inputFormat);
  if (format === 'wav') return (await import('./sound-rows.js')).soundRows(graph, request, input);
  if (window !== undefined || carry !== undefined) {
    const flag = window === undefined ? '--carry' : '--window';
    throw new TandemError('TANDEM_USAGE', `${flag} is given, and ${first} is ${format}, not WAV`, {
      remedy: `leave ${flag} out, or give WAV files`,
    });
  }
  if (format === 'images' || (image !== undefined && holdsRecords(format))) return imageRows(graph, request, input);
  if (image !== undefined) {
    throw new TandemError('TANDEM_USAGE', `--image is given, and ${first} is ${format}, which holds no images`, {
      remedy: 'leave --image out, or give image files or a table with a column of them',
    });
  }
  const open: JobRows['open'] = async (firstRow, lengths, range) => {
    const reading = { firstRow, range, allowNonFinite, ...(inputFormat && { format: inputFormat }) };
    const windows = await openWindows(graph, input, fed, { ...reading, earlier: lengths });
    return windows ?? openSource(input, fed, reading);
  };
  return { input, identity: {}, origins: [], open };
}

async function imageRows(graph: ModelGraph, request: RowsRequest, input: SourceInput): Promise<JobRows> {
  const { settleImages } = await import('../tasks/images/image-recipe.js');
  const { ImageSource } = await import('../tasks/images/image-source.js');
  const { parseImage } = await import('../rows/images/image-flag.js');
  const image = request.image === undefined ? undefined : parseImage(request.image, '--image');
  const {
    recipe,
    input: fed,
    origins,
  } = await settleImages({ model: graph.files[0]!, inputs: fedInputs(graph), image });
  const found = await imagesOf(request, input);
  return {
    input,
    identity: { ...found.identity, 'image recipe': JSON.stringify(recipe) },
    origins: [...origins, ...found.origins],
    open: async (firstRow, _, range) => {
      const source = new ImageSource(await found.open(firstRow, range), { recipe, input: fed, firstRow });
      return range ? sourceWithin(source, range, firstRow) : source;
    },
  };
}

interface FoundImages extends Omit<JobRows, 'input' | 'open'> {
  open(firstRow: number, range?: RowRange): Promise<ImageRows>;
}

/** The images themselves: files, or a column of records. */
async function imagesOf(
  { inputFormat, column, idsFrom, input: texts }: RowsRequest,
  input: SourceInput,
): Promise<FoundImages> {
  const { rowsOfFiles } = await import('../tasks/images/image-rows.js');
  const paths = filesOf(input);
  if (!holdsRecords(formatOf(paths[0]!, inputFormat))) {
    if (paths[0] === STANDARD_STREAM) {
      throw new TandemError('TANDEM_USAGE', 'images cannot be read from stdin: each file is a row', {
        remedy:
          'name files, a folder, or a glob such as photos/*.jpg; or send JSON lines with a column of paths or base64',
      });
    }
    const files = fileRows(paths, texts, idsFrom);
    return {
      identity: { input: await identityOf(files) },
      origins: [],
      open: async (firstRow, range) => rowsOfFiles(endOf(files, range), firstRow, range?.refused),
    };
  }
  const { openRecordImages, imageColumn } = await import('../tasks/images/record-images.js');
  const from = { paths, format: inputFormat };
  const chosen = await imageColumn(from, column);
  const origins = column === undefined ? [`images are in the column "${chosen}": --column names another`] : [];
  return {
    identity: { column: chosen },
    origins,
    open: (firstRow, range) => openRecordImages({ ...from, range }, chosen, firstRow),
  };
}
