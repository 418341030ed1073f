import { IGNORED_KEYS, NODE_KEYS, RAILS_KEYS, SETTING_KEYS } from './keys.ts'
import { SSL_MODES } from './kinds.ts'
import type { KeyDefinition, KeyDefinitions, Kind } from './kinds.ts'

/** A part of a JSON Schema. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** What a variable holds is known at run time only, so an expression may stand for any value. */
const EXPRESSION = { $ref: '#/definitions/expression' }
const NOTHING = { type: 'null' }
const TEXT = { type: 'string', minLength: 1 }

/** The JSON Schema of `database.yml`, with which editors complete and check it. From the definition that validates. */
export const databaseJsonSchema = (): JsonSchema => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'The database.yml of Segregato',
  description: 'One primary (master) and its replicas for each environment.',
  type: 'object',
  additionalProperties: {
    anyOf: [
      { $ref: '#/definitions/environment' },
      { $ref: '#/definitions/keys', description: 'A template for anchors.' },
      NOTHING,
    ],
  },
  definitions: {
    environment: {
      type: 'object',
      properties: {
        master: { $ref: '#/definitions/node', description: 'The server that accepts writes.' },
        primary: { $ref: '#/definitions/node', description: 'A synonym of master.' },
        settings: { anyOf: [{ $ref: '#/definitions/settings' }, NOTHING] },
      },
      additionalProperties: { $ref: '#/definitions/node', description: 'A replica.' },
      anyOf: [{ required: ['master'] }, { required: ['primary'] }],
    },
    node: {
      anyOf: [
        { $ref: '#/definitions/keys' },
        { type: 'string', pattern: '^[Pp]ostgres(ql)?://', description: "The node's URL." },
        EXPRESSION,
        NOTHING,
      ],
    },
    keys: {
      type: 'object',
      properties: {
        ...propertiesOf(NODE_KEYS),
        ...propertiesOf(RAILS_KEYS),
        ...Object.fromEntries([...IGNORED_KEYS].map((name) => [name, IGNORED])),
      },
      additionalProperties: false,
    },
    settings: {
      type: 'object',
      properties: propertiesOf(SETTING_KEYS),
      additionalProperties: false,
    },
    expression: {
      type: 'string',
      pattern: '\\$\\{|<%=',
      description:
        "${NAME}, ${NAME:-default}, <%= ENV['NAME'] %> or <%= ENV.fetch('NAME') { 5 } %>.",
    },
  },
})

const IGNORED = { description: 'Means nothing here; ignored with a notice.' }

const propertiesOf = (definitions: KeyDefinitions): JsonSchema =>
  Object.fromEntries(
    Object.entries(definitions).map(([name, definition]) => [name, propertyOf(definition)]),
  )

const propertyOf = ({ kind, description, ...rest }: KeyDefinition): JsonSchema => ({
  description,
  anyOf: [...valuesOf(kind), EXPRESSION, NOTHING],
  ...('default' in rest ? { default: rest.default } : {}),
})

const valuesOf = (kind: Kind): readonly JsonSchema[] => {
  switch (kind.type) {
    case 'text':
      return [TEXT]
    case 'secret':
      return [{ type: 'string' }]
    case 'integer':
      return [{ type: 'integer', minimum: kind.min, maximum: kind.max }]
    case 'number': {
      const { min, above, max } = kind
      const least = above === undefined ? { minimum: min } : { exclusiveMinimum: above }
      return [{ type: 'number', ...least, maximum: max }]
    }
    case 'boolean':
      return [{ type: 'boolean' }]
    case 'choice':
      return [{ enum: kind.choices }]
    case 'texts':
      return [{ type: 'array', items: TEXT }]
    case 'parameters':
      return [
        { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean', 'null'] } },
      ]
    case 'ssl':
      return [{ type: 'boolean' }, { enum: SSL_MODES }, sslMap]
    default:
      return kind satisfies never
  }
}

const sslMap: JsonSchema = {
  type: 'object',
  properties: {
    mode: { anyOf: [{ enum: SSL_MODES }, { type: 'boolean' }, EXPRESSION] },
    ca: { ...TEXT, description: 'The certificate authority: the path of a PEM file, or its text.' },
    cert: {
      ...TEXT,
      description: "The client's certificate: the path of a PEM file, or its text.",
    },
    key: { ...TEXT, description: "The client's key: the path of a PEM file, or its text." },
  },
  additionalProperties: false,
  minProperties: 1,
}
