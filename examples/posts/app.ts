import { STATUS_CODES } from 'node:http'
import express from 'express'
import type { ErrorRequestHandler, Express, RequestHandler } from 'express'
import { InvalidValueError, RecordNotFoundError, ValidationError } from 'segregato'
import type { Cluster } from 'segregato'
import { health, metrics, readYourWrites, ready } from 'segregato/web'
import { PostCommand } from './post-command.ts'
import { PostQuery } from './post-query.ts'

/** The routes. The models use the cluster that the process has opened by `connect()`: this one. */
export const createApp = (cluster: Cluster): Express => {
  const app = express()
  app.disable('x-powered-by')

  app.get('/health', health())
  app.get('/ready', ready(cluster))
  app.get('/metrics', metrics(cluster))
  // A client that has written a post sees it in its next request, whichever process answers that.
  app.use(readYourWrites(cluster))

  app.post('/posts', onlyJson, express.json({ limit: '100kb' }), async (req, res) => {
    const post = await PostCommand.create(req.body ?? {})
    res
      .status(201)
      .location(`/posts/${post.id}`)
      .json({ message: 'Post berhasil dibuat.', id: post.id })
  })

  app.get('/posts', async (_req, res) => {
    const posts = await PostQuery.all()
    res.json({ count: posts.length, posts: posts.map(toBody) })
  })

  app.get('/posts/:id', async (req, res) => {
    res.json(toBody(await PostQuery.find(req.params.id)))
  })

  app.use((_req, res) => {
    res.status(404).json({ error: 'Not found.' })
  })
  app.use(answerError)
  return app
}

const toBody = ({ id, title, content }: PostQuery) => ({ id, title, content })

/** `false` is another type; `null` is no body, which the model's schema refuses. */
const onlyJson: RequestHandler = (req, res, next) => {
  if (req.is('application/json') === false) {
    res.status(415).json({ error: 'Send the post as application/json.' })
  } else next()
}

/** Clients hear what they did wrong. What went wrong here is for the log alone. */
const answerError: ErrorRequestHandler = (error: unknown, req, res, next) => {
  if (res.headersSent) {
    next(error)
  } else if (error instanceof ValidationError) {
    res.status(422).json({ error: 'The post is not valid.', issues: error.issues })
  } else if (error instanceof InvalidValueError && req.method === 'POST') {
    // What no schema of ours looks for, such as a NUL character: PostgreSQL's text cannot hold it.
    const path = error.column === undefined ? [] : [error.column]
    const issues = [{ message: 'The database cannot hold this value.', path }]
    res.status(422).json({ error: 'The post is not valid.', issues })
  } else if (error instanceof RecordNotFoundError || error instanceof InvalidValueError) {
    // An id that is no uuid belongs to no post.
    res.status(404).json({ error: 'There is no such post.' })
  } else {
    const status = clientStatus(error)
    if (status === 500) console.error(error)
    const text = status === 400 ? 'The request is not valid.' : STATUS_CODES[status]
    res.status(status).json({ error: isBrokenJson(error) ? 'The body is not valid JSON.' : text })
  }
}

/** The status of an error that Express or its body parser blames on the client; else 500. */
const clientStatus = (error: unknown): number => {
  const { status } = Object(error) as { status?: unknown }
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500
}

const isBrokenJson = (error: unknown): boolean =>
  (Object(error) as { type?: unknown }).type === 'entity.parse.failed'
