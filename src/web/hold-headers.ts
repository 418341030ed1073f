import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Field } from './exchange.ts'

/** Headers that are found out at the last moment. */
export interface LateFields {
  /** Whether there is anything to wait for; asked when the headers would leave. */
  isNeeded(): boolean
  /** The headers. Must not reject: a response hangs on it. */
  find(): Promise<readonly Field[]>
}

/** The methods by which headers leave: the first of them that is called sends them. */
const SENDING = ['writeHead', 'flushHeaders', 'write', 'end'] as const
type Sending = (typeof SENDING)[number]
/** What Node.js refuses from then on. */
const CHANGING = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader'] as const

type Method = (...args: readonly unknown[]) => unknown
/** A response whose methods are called by their names. */
type Methods = Record<string, Method | undefined>

/**
 * Adds headers to a response when its own would leave. Where they must be waited for, the response is
 * held back: calls are kept in their order and made when the headers are known, so that bodies,
 * callbacks and errors come out as if nothing had happened. Where nothing is to be waited for, the
 * calls go straight through.
 */
export const addLateFields = (
  request: IncomingMessage,
  response: ServerResponse,
  late: LateFields,
): void => {
  const held = new HeldResponse(request, response, late)
  const methods = response as unknown as Methods
  for (const name of SENDING) methods[name] = (...args) => held.call(name, args)
}

class HeldResponse {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #late: LateFields
  readonly #originals: Readonly<Record<Sending, Method>>
  readonly #calls: { readonly name: Sending; args: readonly unknown[] }[] = []
  #state: 'untouched' | 'held' | 'released' = 'untouched'

  constructor(request: IncomingMessage, response: ServerResponse, late: LateFields) {
    this.#request = request
    this.#response = response
    this.#late = late
    this.#originals = Object.fromEntries(
      SENDING.map((name) => [name, response[name] as Method]),
    ) as Record<Sending, Method>
  }

  call(name: Sending, args: readonly unknown[]): unknown {
    if (this.#state === 'held') return this.#keep(name, args)
    if (this.#state === 'released') return this.#apply(name, args)
    if (this.#response.headersSent || !this.#late.isNeeded()) {
      this.#state = 'released'
      return this.#apply(name, args)
    }
    return this.#hold(name, args)
  }

  #apply(name: Sending, args: readonly unknown[]): unknown {
    return Reflect.apply(this.#originals[name], this.#response, args)
  }

  #keep: (name: Sending, args: readonly unknown[]) => unknown = () => undefined

  #hold(name: Sending, args: readonly unknown[]): unknown {
    const response = this.#response
    const { statusCode, statusMessage } = response
    // It takes the same calls and goes nowhere, so that Node.js itself refuses what is wrong at once.
    const standIn = new ServerResponse(this.#request)
    // What is wrong is told to the caller by a throw, or later by the response itself.
    standIn.on('error', () => {})
    Object.assign(standIn, { statusCode, ...(statusMessage && { statusMessage }) })
    for (const header of response.getHeaderNames())
      standIn.setHeader(header, response.getHeader(header) ?? '')
    const keep = (called: Sending, values: readonly unknown[]): unknown => {
      const checked = values.filter((value) => typeof value !== 'function')
      Reflect.apply(standIn[called] as Method, standIn, checked)
      this.#calls.push({ name: called, args: values })
      if (called === 'write') return false
      return called === 'flushHeaders' ? undefined : response
    }
    const result = keep(name, args)
    this.#keep = keep
    this.#state = 'held'
    const unveil = this.#veil(standIn)
    void this.#late.find().then((fields) => {
      this.#state = 'released'
      unveil()
      // Who changes it now is too late; native headers would have left with these.
      Object.assign(response, { statusCode, statusMessage })
      this.#release(fields)
    })
    return result
  }

  /** Lets the response look as it would if its headers had left; returns what ends that. */
  #veil(standIn: ServerResponse): () => void {
    const response = this.#response
    const methods = response as unknown as Methods
    const getters: readonly [string, () => boolean][] = [
      ['headersSent', () => true],
      ['writableEnded', () => standIn.writableEnded],
      ['writableNeedDrain', () => this.#hasWritten && !standIn.writableEnded],
    ]
    for (const [name, whileHeld] of getters) {
      // Not deleted afterwards: that would make every later use of the response slow.
      const own = Object.getPrototypeOf(response) as object
      const get = (): unknown =>
        this.#state === 'held' ? whileHeld() : Reflect.get(own, name, response)
      Object.defineProperty(response, name, { get, configurable: true })
    }
    const before = CHANGING.map((name) => methods[name])
    for (const name of CHANGING)
      methods[name] = (...args) =>
        Reflect.apply((standIn as unknown as Methods)[name] as Method, standIn, args)
    return () => {
      for (const [index, name] of CHANGING.entries()) methods[name] = before[index]
    }
  }

  get #hasWritten(): boolean {
    return this.#calls.some(({ name }) => name === 'write')
  }

  #release(fields: readonly Field[]): void {
    const response = this.#response
    try {
      const [first] = this.#calls
      if (first?.name === 'writeHead') first.args = setHead(response, first.args)
      if (!response.headersSent) for (const field of fields) addField(response, field)
      let flows = this.#hasWritten
      for (const { name, args } of this.#calls) {
        const result = this.#apply(name, args)
        if (name === 'write') flows = result === true
      }
      // Every call of write() said to wait for this.
      if (flows) process.nextTick(() => response.writableEnded || response.emit('drain'))
    } catch (error) {
      response.destroy(error as Error)
    }
  }
}

const addField = (response: ServerResponse, { name, value, isAdded }: Field): void => {
  if (isAdded) response.appendHeader(name, value)
  else response.setHeader(name, value)
}

/**
 * Sets the headers that `writeHead` was called with by the response's other methods, so that further
 * ones stand beside them; returns what is left for `writeHead`. Headers of an array may come several times.
 */
const setHead = (
  response: ServerResponse,
  [status, second, third]: readonly unknown[],
): readonly unknown[] => {
  const message = typeof second === 'string' ? [second] : []
  const headers = third ?? (typeof second === 'string' ? undefined : second)
  if (Array.isArray(headers)) setAll(response, pairsOf(headers as readonly unknown[]))
  else if (typeof headers === 'object' && headers !== null) {
    for (const [name, value] of Object.entries(headers))
      if (name !== '') response.setHeader(name, value as string)
  }
  return [status, ...message]
}

const setAll = (response: ServerResponse, pairs: readonly (readonly [string, string])[]): void => {
  for (const [name] of pairs) response.removeHeader(name)
  for (const [name, value] of pairs) response.appendHeader(name, value)
}

/** `[name, value, name, value]` and `[[name, value], [name, value]]` are both in use. */
const pairsOf = (headers: readonly unknown[]): (readonly [string, string])[] => {
  if (Array.isArray(headers[0])) return headers as (readonly [string, string])[]
  return Array.from({ length: headers.length / 2 }, (_, index) => [
    headers[index * 2] as string,
    headers[index * 2 + 1] as string,
  ])
}
