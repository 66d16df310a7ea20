/** OpenVINO's errors as coded ones. */
import { type ErrorCode, TandemError } from '../../errors.js';

/** As `code`, or as the code of what the message names: memory, the device, an op that OpenVINO does not have. */
export function openvinoError(cause: unknown, code: ErrorCode): TandemError {
  if (cause instanceof TandemError) return cause;
  const message = saidBy(cause);
  const as = (found: ErrorCode, what: string, remedy: string) =>
    new TandemError(found, `${what}: ${message}`, { remedy, cause });
  if (/bad_alloc|out of memory|failed to allocate|CL_OUT_OF|CL_MEM_OBJECT_ALLOCATION/i.test(message))
    return as('TANDEM_OUT_OF_MEMORY', 'OpenVINO has no memory left', 'use a smaller --micro-batch, or more stages');
  if (/libOpenCL|Cannot load library|No available devices|is not registered|Failed to find.*device/i.test(message))
    return as('TANDEM_DEVICE_MISSING', 'OpenVINO finds no such device', GRAPHICS);
  if (
    /not supported|unsupported|doesn't support|conversion (?:rule|failed)|No conversion|sparse node|NotImplemented/i.test(
      message,
    )
  )
    return as('TANDEM_MODEL_UNSUPPORTED', 'OpenVINO cannot run this', "use provider=cpu, which is ONNX Runtime's");
  const remedy =
    code === 'TANDEM_MODEL_INVALID'
      ? "try provider=cpu, which is ONNX Runtime's, or check the file with onnx.checker.check_model"
      : "the message is OpenVINO's own; compare the rows with the inputs that this prints: tandem inspect MODEL";
  return new TandemError(code, `OpenVINO: ${message}`, { remedy, cause });
}

const GRAPHICS = "install the driver of Intel's graphics for OpenCL (intel-opencl-icd), or use provider=openvino";

/** Without the places in OpenVINO's sources. */
function saidBy(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  const lines = message.split('\n').map((line) => line.trim());
  const reported = lines.filter(
    (line) => line !== '' && !/^(Exception from|Check '.*' failed at) src\/\S*$/.test(line),
  );
  const short = reported.join(' ').replace(/Exception from src\/\S+:\d+:?\s*/g, '');
  return short.length > 400 ? `${short.slice(0, 400)}…` : short;
}
