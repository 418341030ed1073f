import type { Client, ClientBase } from 'pg'
import { plainQuery } from './plain-query.ts'
import { parseLsn } from './position.ts'
import type { Lsn } from './position.ts'

/** A pooler may give each statement to another server connection, which has prepared nothing. */
const canPrepare = (client: ClientBase): client is Client =>
  (client as { node?: { preparedStatements?: boolean } }).node?.preparedStatements === true

/**
 * A question whose answer is one log sequence number. Sessions ask thousands of them a second, so it
 * is prepared once on a connection and then sent as the same few bytes each time, and nothing of what
 * `pg` makes of ordinary statements is made of its answer.
 */
export class PositionQuestion {
  readonly text: string
  readonly #first: Buffer
  readonly #again: Buffer
  readonly #prepared = new WeakSet<object>()

  /** @param name - of the prepared statement */
  constructor(name: string, text: string) {
    this.text = text
    this.#again = Buffer.concat([bind(name), EXECUTE, SYNC])
    this.#first = Buffer.concat([close(name), parse(name, text), this.#again])
  }

  /** Asks on a connection that runs nothing else. `undefined` where there is no position. */
  ask(client: ClientBase): Promise<Lsn | undefined> {
    if (!canPrepare(client)) return this.#plain(client)
    return new Promise((resolve, reject) => {
      this.#await(client, true, (error, lsn) => (error ? reject(error) : resolve(lsn)))
    })
  }

  /** Sends the question behind what has just been sent on a connection; `receive` must follow. */
  send(client: Client): void {
    client.connection.stream.write(this.#prepared.has(client) ? this.#again : this.#first)
  }

  /** Takes the answer to what was sent behind a statement; to be called when that one is answered. */
  receive(client: Client, done: (lsn: Lsn | undefined) => void): void {
    this.#await(client, false, (_error, lsn) => done(lsn))
  }

  /** Submits a query object of `pg` that sends the question, unless it has been sent, and waits for its answer. */
  #await(
    client: Client,
    sends: boolean,
    done: (error: Error | undefined, lsn?: Lsn) => void,
  ): void {
    let answer: string | null | undefined
    const question = {
      submit: () => {
        if (sends) this.send(client)
      },
      handleDataRow: ({ fields }: { readonly fields: readonly (string | null)[] }) => {
        answer = fields[0]
      },
      handleCommandComplete: () => {},
      handleReadyForQuery: () => {
        this.#prepared.add(client)
        question.callback()
      },
      handleError: (error: Error) => {
        this.#prepared.delete(client)
        question.callback(error)
      },
      // `pg` puts a function in its place that ends the timer of `query_timeout`.
      callback: (error?: Error) => done(error, error === undefined ? parseLsn(answer) : undefined),
    }
    plainQuery(client, question)
  }

  async #plain(client: ClientBase): Promise<Lsn | undefined> {
    const { rows } = await client.query<string[]>({ text: this.text, rowMode: 'array' })
    return parseLsn(rows[0]?.[0])
  }
}

/** A message of PostgreSQL's protocol (documentation, 55.7 Message Formats). */
const message = (type: string, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const text = (value: string): Buffer => Buffer.from(`${value}\0`)
/** Zeros, in the width in which the protocol counts things. */
const none = (bytes: number): Buffer => Buffer.alloc(bytes)

/** No error when there is none of the name. */
const close = (name: string): Buffer => message('C', Buffer.from('S'), text(name))
/** No types of parameters. */
const parse = (name: string, sql: string): Buffer => message('P', text(name), text(sql), none(2))
/** The unnamed portal; no parameters, and the answer as text. */
const bind = (name: string): Buffer => message('B', text(''), text(name), none(6))
/** The unnamed portal, all rows. */
const EXECUTE = message('E', text(''), none(4))
const SYNC = message('S')
