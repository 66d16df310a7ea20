/** The small ONNX model by which an engine is tried, and its answer. */

/** y = Softmax(MatMul(Conv(x, ones 3 x 3), [[0, 0], [0, ln 3 / 9]])) for x float32 [1, 1, 4, 4]: of ones, each row of y is 1/4, 3/4. */
export const PROBE_MODEL =
  'CAkSBnRhbmRlbTr3AQosCgF4CgF3Egdwcm9iZV8wIgRDb252KhUKDGtlcm5lbF9zaGFwZUADQAOgAQcKHQoHcHJvYmVfMAoBbRIHcHJvYmVfMS' +
  'IGTWF0TXVsChUKB3Byb2JlXzESAXkiB1NvZnRtYXgSBXByb2JlKjMIAQgBCAMIAxABQgF3SiQAAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/' +
  'AACAPwAAgD8qGwgCCAIQAUIBbUoQAAAAAAAAAAAAAAAAzv75PVobCgF4EhYKFAgBEhAKAggBCgIIAQoCCAQKAggEYhsKAXkSFgoUCAESEAoCCA' +
  'EKAggBCgIIAgoCCAJCBAoAEBNCEQoNY29tLm1pY3Jvc29mdBAB';

const ANSWER = [0.25, 0.75, 0.25, 0.75];

/** Some cards multiply with fewer bits. */
const TOLERANCE = 0.01;

/** Throws if `values` are not the answer for ones. */
export function requireAnswer(values: Float32Array | undefined): void {
  if (!ANSWER.every((right, n) => Math.abs((values?.[n] ?? Number.NaN) - right) < TOLERANCE))
    throw new Error('computed a wrong answer');
}
