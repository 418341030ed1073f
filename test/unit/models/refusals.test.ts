import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { StrictReadModelError, StrictWriteModelError } from '../../../src/errors.ts'
import {
  READ_CLASS,
  READ_INSTANCE,
  READ_REFUSES,
  WRITE_CLASS,
  WRITE_INSTANCE,
  WRITE_INSTANCE_REFUSES,
  WRITE_REFUSES,
} from '../../../src/models/operations.ts'
import { ReadQuery } from '../../../src/models/read-query.ts'
import { StrictReadBase } from '../../../src/models/strict-read-base.ts'
import { StrictWriteBase } from '../../../src/models/strict-write-base.ts'
import { fakeCluster } from './fake-cluster.ts'

const cluster = fakeCluster({ id: 'int4', title: 'text' })

class PostQuery extends StrictReadBase {
  static override tableName = 'posts'
  static override cluster = cluster
}

class PostCommand extends StrictWriteBase {
  static override tableName = 'posts'
  static override cluster = cluster
}

type Faces = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>
const call = (target: object, name: string): Promise<unknown> =>
  (target as Faces)[name]!({ title: 'x' }, { title: 'y' })

describe('refused names reject with their own name, and nothing is sent', () => {
  const query = new ReadQuery(PostQuery)
  test.each(
    READ_REFUSES.flatMap((name) => [
      ['class', name, PostQuery] as const,
      ['instance', name, new PostQuery()] as const,
      ['query', name, query] as const,
    ]),
  )('read model, %s: %s', async (_face, name, target) => {
    await expect(call(target, name)).rejects.toThrow(StrictReadModelError)
    await expect(call(target, name)).rejects.toThrow(
      `The Read Model is not allowed to perform Write operations: ${name}`,
    )
    expect(cluster.sent).toEqual([])
  })

  test.each([
    ...WRITE_REFUSES.map((name) => ['class', name, PostCommand] as const),
    ...WRITE_INSTANCE_REFUSES.map((name) => ['instance', name, new PostCommand()] as const),
  ])('write model, %s: %s', async (_face, name, target) => {
    await expect(call(target, name)).rejects.toThrow(StrictWriteModelError)
    await expect(call(target, name)).rejects.toThrow(
      `The Write Model is not allowed to perform the Read operation: ${name}`,
    )
    expect(cluster.sent).toEqual([])
  })
})

test('chaining on a refusal gives the refusal', async () => {
  const Command = PostCommand as unknown as typeof StrictReadBase
  await expect(
    Command.where({})
      .orderBy('id' as never)
      .limit(1)
      .first(),
  ).rejects.toThrow('Read operation: where')
  await expect(Command.all().count()).rejects.toThrow('Read operation: all')
  const drain = async (): Promise<void> => {
    for await (const _ of Command.stream()) throw new Error('a row')
  }
  await expect(drain()).rejects.toThrow('Read operation: stream')
})

describe('every chain of known names ends in the first refusal, and leaves nothing unhandled', () => {
  type Chain = { [name: string]: (...args: unknown[]) => Chain } & Promise<unknown>
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  beforeAll(() => {
    process.on('unhandledRejection', note)
  })
  afterAll(() => {
    process.off('unhandledRejection', note)
  })
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  const names = [...new Set([...READ_REFUSES, ...WRITE_REFUSES])]
  const faces: [
    string,
    object,
    string,
    typeof StrictReadModelError | typeof StrictWriteModelError,
  ][] = [
    ['write model', PostCommand, 'where', StrictWriteModelError],
    ['write instance', new PostCommand(), 'reload', StrictWriteModelError],
    ['read model', PostQuery, 'updateAll', StrictReadModelError],
    ['read instance', new PostQuery(), 'save', StrictReadModelError],
    ['query', PostQuery.where({}), 'deleteAll', StrictReadModelError],
  ]

  test.each(faces)('%s', async (_face, target, first, Strict) => {
    for (const name of names) {
      const start = (): Chain => (target as unknown as Chain)[first]!({})
      for (const chain of [start()[name]!('x'), start()['where']!({})[name]!()['sum']!('x')]) {
        const error: unknown = await chain.catch((reason: unknown) => reason)
        expect(error, name).toBeInstanceOf(Strict)
        expect(error, name).toMatchObject({ operation: first })
      }
    }
    for (const stream of ['stream', 'inBatches']) {
      const rows = (target as unknown as Chain)[first]!({})[stream]!()
      const drain = async (): Promise<void> => {
        for await (const _ of rows as unknown as AsyncIterable<unknown>) throw new Error('a row')
      }
      await expect(drain()).rejects.toThrow(Strict)
      await expect(rows['next']!()).rejects.toThrow(Strict)
    }
    await settled()
    expect(unhandled).toEqual([])
  })

  test('as reported', async () => {
    const Command = PostCommand as unknown as Chain
    await expect(Command['where']!({})['orderBy']!('x')['paginate']!()).rejects.toThrow(
      'Read operation: where',
    )
    await expect(Command['where']!({})['sum']!('x')).rejects.toThrow('Read operation: where')
    await settled()
    expect(unhandled).toEqual([])
  })
})

test('the seed names each refused operation', () => {
  const seedReads =
    'find findBy where all first last limit pluck exists count sum average minimum maximum reload'.split(
      ' ',
    )
  const seedWrites =
    'save update destroy delete deleteAll updateAll create insertAll insert upsert increment touch'.split(
      ' ',
    )
  const leaks =
    'upsertAll touchAll deleteBy decrement incrementCounter decrementCounter updateColumn updateColumns toggle lock withLock destroyAll destroyBy truncate findOrCreateBy'
  expect(WRITE_REFUSES).toEqual(expect.arrayContaining(seedReads))
  expect(READ_REFUSES).toEqual(expect.arrayContaining([...seedWrites, ...leaks.split(' ')]))
})

test('the lists are what the classes have', () => {
  const own = (target: object): string[] =>
    Reflect.ownKeys(target).filter((key): key is string => typeof key === 'string')
  const methods = (target: object): string[] =>
    own(target).filter(
      (key) => key !== 'constructor' && typeof Reflect.get(target, key) === 'function',
    )
  expect(methods(StrictReadBase).toSorted()).toEqual([...READ_CLASS].toSorted())
  expect(methods(StrictReadBase.prototype).toSorted()).toEqual([...READ_INSTANCE].toSorted())
  expect(methods(StrictWriteBase).toSorted()).toEqual([...WRITE_CLASS].toSorted())
  expect(methods(StrictWriteBase.prototype).toSorted()).toEqual([...WRITE_INSTANCE].toSorted())
  expect(methods(ReadQuery.prototype).toSorted()).toEqual(
    [...READ_CLASS, 'catch', 'finally', 'then'].toSorted(),
  )
})
