/** Announces posts until SIGTERM or SIGINT. */
import { RecordNotFoundError } from 'segregato'
import { PostQuery } from '../posts/post-query.ts'
import { openCluster } from './cluster.ts'
import { ANNOUNCE, type Announcement, openQueue } from './queue.ts'

const announce = async (postId: string): Promise<void> => {
  try {
    const { title } = await PostQuery.find(postId)
    console.log(`Announced ${postId}: ${title}`)
  } catch (error) {
    if (!(error instanceof RecordNotFoundError)) throw error
    console.log(`There is no post ${postId}`)
  }
}

const cluster = openCluster()
const boss = await openQueue(cluster)
await boss.work<Announcement>(ANNOUNCE, { pollingIntervalSeconds: 0.5 }, async (jobs) => {
  for (const { data } of jobs) {
    // The worker goes on from where the one who sent the job has come to.
    await cluster.session(() => announce(data.postId), { token: data.token })
  }
})
console.log('Waiting for jobs')

const stop = async (): Promise<void> => {
  await boss.stop()
  await cluster.close()
  console.log('Stopped')
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop())
