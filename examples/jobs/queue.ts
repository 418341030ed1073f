import PgBoss from 'pg-boss'
import type { Cluster } from 'segregato'

/** The queue's name. */
export const ANNOUNCE = 'announce'

/** What the job is about, and what must be seen for it. */
export interface Announcement {
  readonly postId: string
  /** How far the one who asked for it had come; without it the job may find a replica that knows no such post. */
  readonly token?: string | undefined
}

/** pg-boss on the connections of the cluster: it locks and updates jobs, so all of it goes to the primary. */
export const openQueue = async (
  cluster: Cluster,
  options: PgBoss.ConstructorOptions = {},
): Promise<PgBoss> => {
  const boss = new PgBoss({
    ...options,
    db: { executeSql: (text, values) => cluster.writer.query(text, values) },
  })
  boss.on('error', (error) => console.error(error))
  await boss.start()
  await boss.createQueue(ANNOUNCE)
  return boss
}
