/** The writer of Arrow files. */
import type { RecordBatchFileWriter } from 'apache-arrow';
import type { Arrow } from '../../rows/arrow/arrow-library.js';

/**
 * The library's writer (21.2) leaves the schema out before the batches and has it in the footer alone. By the format a file has a whole stream
 * between its marks (docs/source/format/Columnar.rst of Apache Arrow, "IPC File Format"), and readers that read in order need it.
 */
export function arrowFileWriter(arrow: Arrow): RecordBatchFileWriter {
  const writer = new arrow.RecordBatchFileWriter() as unknown as SchemaWriter;
  const { _writeSchema: writeMarks } = writer;
  const writeMessage = (arrow.RecordBatchStreamWriter.prototype as unknown as SchemaWriter)._writeSchema;
  writer._writeSchema = (schema) => {
    writeMarks.call(writer, schema);
    return writeMessage.call(writer, schema);
  };
  return writer as unknown as RecordBatchFileWriter;
}

/** What the library keeps protected. */
interface SchemaWriter {
  _writeSchema(schema: unknown): unknown;
}
