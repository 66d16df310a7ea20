/** The keywords of JSON Schema that answers are held to; others are refused by name, since nothing would keep an answer to them. */
import { RowFault } from '../../rows/row-fault.js';

/** Schemas below a schema: one, a list of them, or one for each name. */
const ONE = ['items', 'additionalProperties', 'unevaluatedProperties', 'unevaluatedItems'];
const LIST = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const NAMED = ['properties', '$defs', 'definitions', 'patternProperties'];
const HELD = ['type', 'enum', 'const', '$ref', 'required', 'minItems', 'maxItems', 'minLength', 'maxLength', 'pattern'];
const RANGES = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'];
/** They say nothing about what is valid. */
const NOTES = [
  '$schema',
  '$id',
  '$comment',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
];
const KNOWN = new Set([...ONE, ...LIST, ...NAMED, ...HELD, ...RANGES, ...NOTES, 'format']);
/** Of texts, those that are held. */
const FORMATS = new Set(['date', 'time', 'date-time', 'duration', 'email', 'ipv4', 'ipv6', 'hostname', 'uuid', 'uri']);
const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'];

/** Throws RowFault, which names the place and the keyword. */
export function checkSchema(schema: unknown, path = 'schema'): void {
  if (typeof schema === 'boolean') return;
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) throw invalid(`${path} is no schema`);
  for (const [name, value] of Object.entries(schema)) {
    const place = `${path}.${name}`;
    if (!KNOWN.has(name)) throw invalid(`${place} is not supported: answers cannot be held to it`);
    if (ONE.includes(name)) checkSchema(value, place);
    if (LIST.includes(name)) checkList(value, place);
    if (NAMED.includes(name)) checkNamed(value, place);
    if (name === 'allOf' && Array.isArray(value) && value.length > 1)
      throw invalid(`${place} has more than one schema`);
    if (name === 'format' && !FORMATS.has(value as string)) throw invalid(`${place} "${value}" is not supported`);
    if (name === 'type') checkType(value, place);
  }
}

function checkType(value: unknown, place: string): void {
  const wrong = [value].flat().find((type) => !TYPES.includes(type as string));
  if (wrong !== undefined) throw invalid(`${place} is ${JSON.stringify(wrong)}; it is one of ${TYPES.join(', ')}`);
}

function checkList(value: unknown, place: string): void {
  if (!Array.isArray(value)) throw invalid(`${place} is no list of schemas`);
  for (const [n, each] of value.entries()) checkSchema(each, `${place}[${n}]`);
}

function checkNamed(value: unknown, place: string): void {
  if (typeof value !== 'object' || value === null) throw invalid(`${place} has no schemas by name`);
  for (const [name, each] of Object.entries(value)) checkSchema(each, `${place}.${name}`);
}

function invalid(message: string): RowFault {
  return new RowFault('TANDEM_ROW_INVALID', message);
}
