/** Removes needless reshapes from a recording: reshapes of reshapes and those that change nothing, half of tfjs's calls in a transformer. */
import { isDeepStrictEqual } from 'node:util';
import type { Recording, Step } from './recording.js';

/** The same values with fewer ops. A Reshape shares its input's memory, so no memory is kept longer. */
export function withoutReshapes(recording: Recording): Recording {
  const { shapes } = recording;
  /** By reshaped tensor, the tensor that was reshaped first. */
  const viewed = new Map<number, number>();
  /** Tensors that are aliases of others. */
  const same = new Map<number, number>();
  const named = (place: number) => same.get(place) ?? place;
  const steps: Step[] = [];
  for (const step of recording.steps) {
    const inputs = step.inputs.map(named);
    if (step.name !== 'Reshape') {
      steps.push({ ...step, inputs });
      continue;
    }
    const [output] = step.outputs;
    const source = viewed.get(inputs[0]!) ?? inputs[0]!;
    if (isDeepStrictEqual(shapes.get(source), shapes.get(output!))) {
      same.set(output!, source);
      continue;
    }
    viewed.set(output!, source);
    steps.push({ ...step, inputs: [source, ...inputs.slice(1)] });
  }
  const outputs = recording.outputs.map(named);
  return { ...recording, steps: withoutUnread(steps, outputs), outputs };
}

function withoutUnread(steps: readonly Step[], outputs: readonly number[]): Step[] {
  const read = new Set(outputs);
  const kept: Step[] = [];
  for (const step of steps.toReversed()) {
    if (step.name === 'Reshape' && !read.has(step.outputs[0]!)) continue;
    for (const place of step.inputs) read.add(place);
    kept.unshift(step);
  }
  return kept;
}
