/** The write models of the tests in this folder, on a database of the file that imports them. */
import { beforeAll, beforeEach } from 'vitest'
import { z } from 'zod'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { StrictWriteBase } from '../../../src/models/strict-write-base.ts'
import { useCluster } from '../../support/cluster.ts'

export const fixture = useCluster(`
  CREATE TABLE posts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title varchar(255) NOT NULL, content text,
    meta jsonb, list json, tags text[], views int NOT NULL DEFAULT 0 CHECK (views < 1000), slug text UNIQUE, bytes bytea,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT '2020-01-01'
  );
  CREATE TABLE comments (id serial PRIMARY KEY, post_id uuid REFERENCES posts, body text NOT NULL DEFAULT 'none');
  CREATE TABLE pairs (a int, b text, value int, PRIMARY KEY (a, b));
  CREATE TABLE keyless (value int);
`)

let cluster: Cluster

export abstract class Command extends StrictWriteBase {
  static override cluster = () => cluster
}

export class PostCommand extends Command {
  static override tableName = 'posts'
  static override schema = z.object({
    title: z.string().trim().min(1).max(255),
    content: z.string().nullish(),
    views: z.number().default(7),
    slug: z.string().optional(),
    meta: z.unknown().optional(),
    list: z.unknown().optional(),
    tags: z.array(z.string()).optional(),
  })
  declare id: string
  declare title: string
  declare content: string | null
  declare meta: unknown
  declare list: unknown
  declare tags: string[] | null
  declare views: number
  declare slug: string | null
  declare updated_at: Date
}

export class PlainCommand extends Command {
  static override tableName = 'posts'
  id!: string
  title!: string
  content!: string | null
  meta!: unknown
  list!: unknown
  tags!: string[] | null
  bytes!: Buffer | null
  views!: number
  slug!: string | null
}

export class TouchedCommand extends PlainCommand {
  static override timestamps = true
  declare updated_at: Date
}

export class CommentCommand extends Command {
  static override tableName = 'comments'
  declare id: number
  declare post_id: string | null
  declare body: string
}

export class PairCommand extends Command {
  static override tableName = 'pairs'
  static override primaryKey = ['a', 'b'] as const
  declare a: number
  declare b: string
  declare value: number | null
}

beforeAll(() => {
  cluster = fixture.open()
})

beforeEach(async () => {
  await fixture.db.admin.query('TRUNCATE posts, comments, pairs, keyless')
})

export const stored = async (id: string): Promise<Record<string, unknown>> =>
  (await fixture.db.admin.query('SELECT * FROM posts WHERE id = $1', [id])).rows[0] ?? {}
