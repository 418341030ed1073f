import { readFileSync } from 'node:fs'
import type { Document, YAMLMap, YAMLSeq } from 'yaml'
import { isMap, isScalar, isSeq, parseDocument, Scalar, visit } from 'yaml'

/** The package's own containers, of which a new project gets a copy. */
const DOCKER = new URL('../../docker/', import.meta.url)

const SCRIPT = 'server.sh'
const CONFIG_NAME = 'server'

const headOf = (single: boolean): string =>
  [
    ` Written by \`segregato init\`: ${single ? 'one PostgreSQL server' : 'a PostgreSQL primary with two streaming replicas'}.`,
    ' ',
    '   docker compose up --wait',
    ' ',
    ' From .env or the environment: POSTGRES_IMAGE (any image with PostgreSQL in it), DB_USER,',
    ` DB_PASSWORD, REPLICATION_PASSWORD, PRIMARY_PORT${single ? '' : ', REPLICA1_PORT, REPLICA2_PORT'}.`,
  ].join('\n')

/** What the compose file says of one server. */
export interface ComposeServer {
  readonly name: string
  /** With an expression, as in the file: `${PRIMARY_PORT:-5432}`. */
  readonly port: string
}

/** A compose file that needs no other file, and the servers in it, the primary first. */
export interface ComposeFile {
  readonly text: string
  readonly servers: readonly ComposeServer[]
}

/**
 * The compose file of `docker/` with its script inside it, so that it works by itself. Needs Docker
 * Compose 2.23.1 or later, which knows configs with content.
 */
export const composeFile = ({ single }: { readonly single: boolean }): ComposeFile => {
  const document = parseDocument(readFileSync(new URL('compose.yml', DOCKER), 'utf8'))
  const script = readFileSync(new URL(SCRIPT, DOCKER), 'utf8')
  if (single) leaveOut(document, replicaNames(document))
  // The project is called after its folder, so that two projects do not share servers.
  document.delete('name')
  mountConfig(document)
  document.set('configs', document.createNode({ [CONFIG_NAME]: { content: '' } }))
  document.setIn(['configs', CONFIG_NAME, 'content'], literal(script))
  document.commentBefore = headOf(single)
  return {
    text: document.toString({ lineWidth: 0, flowCollectionPadding: false }),
    servers: serversOf(document),
  }
}

const mapAt = (document: Document, name: string): YAMLMap => {
  const map = document.get(name)
  if (!isMap(map)) throw new TypeError(`docker/compose.yml has no map '${name}'`)
  return map
}

const namesOf = (map: YAMLMap): readonly string[] => map.items.map(({ key }) => String(key))

const replicaNames = (document: Document): readonly string[] =>
  namesOf(mapAt(document, 'services')).filter((name) => name !== 'primary')

/** Services with their volumes, and the fragments that only they use. */
const leaveOut = (document: Document, names: readonly string[]): void => {
  for (const name of names) {
    document.deleteIn(['services', name])
    document.deleteIn(['volumes', name])
  }
  document.delete('x-replica')
}

/** In place of the script's file, the script in this file. */
const mountConfig = (document: Document): void => {
  visit(document, {
    Seq: (_key, seq: YAMLSeq) => {
      seq.items = seq.items.filter(
        (item) => !(isScalar(item) && String(item).startsWith(`./${SCRIPT}:`)),
      )
    },
  })
  const configs = [{ source: CONFIG_NAME, target: `/segregato/${SCRIPT}` }]
  const services = mapAt(document, 'services')
  for (const name of namesOf(services)) {
    document.setIn(['services', name, 'configs'], document.createNode(configs, { flow: true }))
  }
}

/** Compose replaces what stands after a single $. */
const literal = (text: string): Scalar => {
  const scalar = new Scalar(text.replaceAll('$', '$$$$'))
  scalar.type = Scalar.BLOCK_LITERAL
  return scalar
}

/** The published port of each service: the second of `127.0.0.1:<outside>:<inside>`. */
const serversOf = (document: Document): readonly ComposeServer[] =>
  namesOf(mapAt(document, 'services')).map((name) => {
    const ports = document.getIn(['services', name, 'ports'])
    const text = isSeq(ports) ? String(ports.get(0)) : ''
    const port = /^127\.0\.0\.1:(\$\{\w+:-\d+\}|\d+):/.exec(text)?.[1]
    if (port === undefined) throw new TypeError(`docker/compose.yml: ${name} publishes no port`)
    return { name, port }
  })
