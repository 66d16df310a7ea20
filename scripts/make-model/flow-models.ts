/** GraphModels with control flow: functions, a TensorFlow 1 loop, a hash table. */
import { bool, func, Graph, int, text, type } from './graph.js';
import type { ModelSize } from './layers-models.js';
import type { MadeModel } from './model-files.js';

const FLOAT = { T: type('DT_FLOAT') };

/** (length) -> one of two functions, by the micro-batch's mean -> a loop that halves until the value is small -> (2). */
export function branch({ width, length }: ModelSize): MadeModel {
  const graph = new Graph();
  const x = graph.dense('in', graph.input('features', [length]), length, width);
  const reduce = { ...FLOAT, Tidx: type('DT_INT32'), keep_dims: bool(false) };
  const mean = graph.node('Mean', 'mean', [x, graph.ints('mean/axes', 0, 1)], reduce);
  const isHigh = graph.node('Greater', 'is_high', [
    mean,
    graph.constant({ name: 'threshold', shape: [], values: [0] }),
  ]);
  const floats = { x: 'DT_FLOAT' } as const;
  const body = (name: string, factor: number) => {
    graph.weight({ name: `${name}/factor`, shape: [], values: [factor] });
    graph.function(name, floats, { y: { type: 'DT_FLOAT', from: `${name}/Mul:z:0` } }, [
      { name: `${name}/factor`, op: 'Const', input: [], attr: { dtype: type('DT_FLOAT') } },
      { name: `${name}/Mul`, op: 'Mul', input: ['x', `${name}/factor:output:0`], attr: FLOAT },
    ]);
  };
  body('double', 2);
  body('negate', -1);
  body('halve', 0.5);
  graph.weight({ name: 'is_large/limit', shape: [], values: [0.25] });
  graph.weight({ name: 'is_large/axes', shape: [2], dtype: 'int32', values: [0, 1] });
  graph.function('is_large', floats, { y: { type: 'DT_BOOL', from: 'is_large/Greater:z:0' } }, [
    { name: 'is_large/limit', op: 'Const', input: [], attr: { dtype: type('DT_FLOAT') } },
    { name: 'is_large/axes', op: 'Const', input: [], attr: { dtype: type('DT_INT32') } },
    { name: 'is_large/Abs', op: 'Abs', input: ['x'], attr: FLOAT },
    { name: 'is_large/Max', op: 'Max', input: ['is_large/Abs:y:0', 'is_large/axes:output:0'], attr: reduce },
    {
      name: 'is_large/Greater',
      op: 'Greater',
      input: ['is_large/Max:output:0', 'is_large/limit:output:0'],
      attr: FLOAT,
    },
  ]);
  const types = { list: { type: ['DT_FLOAT'] } };
  const chosen = graph.node('If', 'choose', [isHigh, graph.node('Tanh', 'Tanh', [x])], {
    Tcond: type('DT_BOOL'),
    Tin: types,
    Tout: types,
    then_branch: func('double'),
    else_branch: func('negate'),
  });
  const small = graph.node('StatelessWhile', 'shrink', [graph.node('Relu', 'Relu', [chosen])], {
    T: types,
    cond: func('is_large'),
    body: func('halve'),
  });
  return graph.model({ out: graph.dense('out', small, width, 2) });
}

/** (length) -> a TensorFlow 1 loop that collects its steps in a TensorArray -> (blocks, rows, width) summed -> (2). */
export function loop({ width, blocks, length }: ModelSize): MadeModel {
  const graph = new Graph();
  const I32 = { T: type('DT_INT32') };
  const x = graph.node('Tanh', 'in/Tanh', [graph.dense('in', graph.input('features', [length]), length, width)]);
  const steps = graph.int('loop/steps', blocks);
  const array = graph.node('TensorArrayV3', 'loop/array', [steps], {
    dtype: type('DT_FLOAT'),
    dynamic_size: bool(false),
    clear_after_read: bool(false),
    identical_element_shapes: bool(true),
    tensor_array_name: text('steps'),
    element_shape: { shape: { unknownRank: true } },
  });
  const enter = (name: string, from: string, attr: object, isConstant = false) =>
    graph.node('Enter', `loop/${name}/Enter`, [from], {
      ...attr,
      frame_name: text('loop'),
      is_constant: bool(isConstant),
      parallel_iterations: int(1),
    });
  const merge = (name: string, attr: object) =>
    graph.node('Merge', `loop/${name}/Merge`, [`loop/${name}/Enter`, `loop/${name}/NextIteration`], {
      ...attr,
      N: int(2),
    });
  enter('i', graph.int('loop/zero', 0), I32);
  enter('value', x, FLOAT);
  enter('flow', `${array}:1`, FLOAT);
  const limit = enter('steps', steps, I32, true);
  const handle = enter('array', array, { T: type('DT_RESOURCE') }, true);
  const one = enter('one', graph.int('loop/one', 1), I32, true);
  const factor = enter('factor', graph.constant({ name: 'loop/factor', shape: [], values: [0.75] }), FLOAT, true);
  const [i, value, flow] = [merge('i', I32), merge('value', FLOAT), merge('flow', FLOAT)];
  const condition = graph.node('LoopCond', 'loop/LoopCond', [graph.node('Less', 'loop/Less', [i, limit], I32)], {});
  const part = (name: string, from: string, attr: object) =>
    graph.node('Switch', `loop/${name}/Switch`, [from, condition], { ...attr });
  const [iIn, valueIn, flowIn] = [
    `${part('i', i, I32)}:1`,
    `${part('value', value, FLOAT)}:1`,
    `${part('flow', flow, FLOAT)}:1`,
  ];
  const stepped = graph.node('Mul', 'loop/Mul', [valueIn, factor]);
  const written = graph.node('TensorArrayWriteV3', 'loop/Write', [handle, iIn, stepped, flowIn], FLOAT);
  graph.node('NextIteration', 'loop/i/NextIteration', [graph.node('AddV2', 'loop/i/Add', [iIn, one], I32)], I32);
  graph.node('NextIteration', 'loop/value/NextIteration', [stepped], FLOAT);
  graph.node('NextIteration', 'loop/flow/NextIteration', [written], FLOAT);
  const done = graph.node('Exit', 'loop/flow/Exit', ['loop/flow/Switch'], FLOAT);
  const indices = graph.ints('loop/indices', ...Array.from({ length: blocks }, (_, n) => n));
  const gathered = graph.node('TensorArrayGatherV3', 'loop/Gather', [array, indices, done], {
    dtype: type('DT_FLOAT'),
    element_shape: { shape: { unknownRank: true } },
  });
  const summed = graph.node('Sum', 'sum', [gathered, graph.ints('sum/axis', 0)], {
    ...FLOAT,
    Tidx: type('DT_INT32'),
    keep_dims: bool(false),
  });
  return graph.model({ out: graph.node('Sigmoid', 'out/Sigmoid', [graph.dense('out', summed, width, 2)]) });
}

/** Numbers (length) -> a hash table that an initializer fills -> embeddings -> (2). */
export function tables({ width, length }: ModelSize): MadeModel {
  const graph = new Graph();
  const attr = { Tin: type('DT_INT32'), Tout: type('DT_INT32') };
  const table = { key_dtype: type('DT_INT32'), value_dtype: type('DT_INT32'), shared_name: text('words') };
  const numbers = graph.input('numbers', [length], 'DT_INT32');
  const handle = graph.node('HashTableV2', 'words', [], table);
  const shifted = graph.node('AddV2', 'shift', [numbers, graph.int('shift/by', 1)], { T: type('DT_INT32') });
  const found = graph.node('LookupTableFindV2', 'find', [handle, shifted, graph.int('find/default', 0)], attr);
  // tfjs's table returns a flat list of values for keys of any shape.
  const rows = graph.node('Reshape', 'rows', [found, graph.ints('rows/shape', -1, length)], {
    T: type('DT_INT32'),
    Tshape: type('DT_INT32'),
  });
  const embeddings = graph.constant({ name: 'embed/table', shape: [6, width] });
  const x = graph.node('GatherV2', 'embed/GatherV2', [embeddings, rows, graph.int('embed/axis', 0)], {
    Tparams: type('DT_FLOAT'),
    Tindices: type('DT_INT32'),
    Taxis: type('DT_INT32'),
    batch_dims: int(0),
  });
  const pooled = graph.node('Mean', 'pool', [x, graph.ints('pool/axis', 1)], {
    ...FLOAT,
    Tidx: type('DT_INT32'),
    keep_dims: bool(false),
  });
  const out = graph.dense('out', pooled, width, 2);
  graph.weight({ name: 'fill/keys', shape: [4], dtype: 'int32', values: [3, 5, 7, 11] });
  graph.weight({ name: 'fill/values', shape: [4], dtype: 'int32', values: [1, 2, 3, 4] });
  const constant = (name: string) => ({ name, op: 'Const', input: [], attr: { dtype: type('DT_INT32') } });
  const modelInitializer = {
    node: [
      { name: 'words', op: 'HashTableV2', input: [], attr: table },
      constant('fill/keys'),
      constant('fill/values'),
      { name: 'fill', op: 'LookupTableImportV2', input: ['words', 'fill/keys', 'fill/values'], attr },
    ],
    versions: { producer: 1882, minConsumer: 0 },
  };
  return graph.model({ out }, { modelInitializer });
}
