import { StrictReadBase } from 'segregato'

/** Reads posts, on the replicas in turn. */
export class PostQuery extends StrictReadBase {
  static override tableName = 'posts'
  declare id: string
  declare title: string
  declare content: string | null
  declare created_at: Date
  declare updated_at: Date
}
