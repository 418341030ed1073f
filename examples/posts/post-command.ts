import { StrictWriteBase } from 'segregato'
import { z } from 'zod'

/** Writes posts, on the primary. */
export class PostCommand extends StrictWriteBase {
  static override tableName = 'posts'
  static override timestamps = true
  static override schema = z.object({
    title: z.string().trim().min(1).max(255),
    content: z.string().nullish(),
  })
  declare id: string
  declare title: string
  declare content: string | null
  declare created_at: Date
  declare updated_at: Date
}
