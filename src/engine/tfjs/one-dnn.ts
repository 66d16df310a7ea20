/** Whether TensorFlow computes with oneDNN's ops or with its own: the same on all machines, unless the user says otherwise. */

/**
 * Left alone, TensorFlow takes oneDNN's ops where the processor has AVX-512 VNNI or AMX, so that the bits of a result depend on the machine. Run op
 * by op they bring every weight into another order in every call, which costs most where there are many weights and few pixels: with them one
 * thread computes BERT-base 0.84 x as fast, InceptionV3 0.91 x, ResNet-50 0.96 x, EfficientNetB0 1.06 x and MobileNetV2 1.11 x (16 rows of
 * 96 x 96, `tandem run … --plan quick` with the variable at 1 and at 0, a Xeon with AMX). And TensorFlow says that they are on before it has read
 * how much it may say. Read once, when its library is loaded.
 */
export function oneDnnEnvironment(env: NodeJS.ProcessEnv = process.env): { TF_ENABLE_ONEDNN_OPTS: string } {
  return { TF_ENABLE_ONEDNN_OPTS: env.TF_ENABLE_ONEDNN_OPTS ?? '0' };
}

/** What a build of TensorFlow is called besides, where its bits and its pace are others: nothing by default. */
export function oneDnnMark(env: NodeJS.ProcessEnv = process.env): string {
  const { TF_ENABLE_ONEDNN_OPTS: asked } = oneDnnEnvironment(env);
  return asked === '0' || asked.toLowerCase() === 'false' ? '' : ', oneDNN';
}
