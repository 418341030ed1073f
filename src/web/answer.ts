import type { IncomingMessage, ServerResponse } from 'node:http'

/** What is answered to a GET. */
export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** Answers requests of one path; which path that is, the server or the framework decides. */
export interface HttpHandler {
  /** For `node:http`, Connect and Express; for others with `request.raw`, `context.req` and the like. */
  (request: IncomingMessage, response: ServerResponse): void
  /** The same answer as a `Response`, for frameworks that send one: Fastify, Hono, Koa. */
  answer(): Promise<Response>
}

/** @param find - must not reject */
export const httpHandler = (find: () => Promise<Answer>): HttpHandler => {
  const handle = ({ method }: IncomingMessage, response: ServerResponse): void => {
    if (method !== 'GET' && method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end()
      return
    }
    void find().then(({ status, type, body }) => {
      const headers = { ...headersOf(type), 'Content-Length': Buffer.byteLength(body) }
      if (!response.headersSent) response.writeHead(status, headers).end(body)
    })
  }
  const answer = async (): Promise<Response> => {
    const { status, type, body } = await find()
    return new Response(body, { status, headers: headersOf(type) })
  }
  return Object.assign(handle, { answer })
}

const headersOf = (type: string): Record<string, string> => ({
  'Content-Type': type,
  // How things stood a minute ago is no answer.
  'Cache-Control': 'no-store',
})

/** A value as the body of an answer. */
export const jsonAnswer = (status: number, value: object): Answer => ({
  status,
  type: 'application/json; charset=utf-8',
  body: `${JSON.stringify(value)}\n`,
})
