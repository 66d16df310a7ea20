/** Whether TensorFlow computes with oneDNN's ops or with its own: with its own on all machines, unless the user sets the variable. */

/**
 * By default TensorFlow uses oneDNN's ops if the processor has AVX-512 VNNI or AMX, and logs that before it has read its log level. On one
 * thread neither is faster everywhere: with oneDNN's BERT-base ran 0.84 x as fast (128 tokens), InceptionV3 0.91 x, ResNet-50 0.96 x, EfficientNetB0
 * 1.06 x and MobileNetV2 1.11 x (16 rows of 96 x 96). `tandem run MODEL … --stage cpu,threads=1 --stage cpu,threads=1 --plan quick`, with the variable
 * at 1 and at 0, two to four runs each on a noisy Xeon with AMX. Read once, when its library is loaded.
 */
export function oneDnnEnvironment(env: NodeJS.ProcessEnv = process.env): { TF_ENABLE_ONEDNN_OPTS: string } {
  return { TF_ENABLE_ONEDNN_OPTS: env.TF_ENABLE_ONEDNN_OPTS ?? '0' };
}

/** A suffix for the name of TensorFlow's build if oneDNN is on, because results and times differ: empty by default. */
export function oneDnnMark(env: NodeJS.ProcessEnv = process.env): string {
  const { TF_ENABLE_ONEDNN_OPTS: asked } = oneDnnEnvironment(env);
  return asked === '0' || asked.toLowerCase() === 'false' ? '' : ', oneDNN';
}
