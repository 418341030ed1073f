/** Writes a post whose title is the argument, and leaves its announcement to a worker. */
import { PostCommand } from '../posts/post-command.ts'
import { openCluster } from './cluster.ts'
import { ANNOUNCE, openQueue } from './queue.ts'

const enqueue = async (title: string): Promise<void> => {
  await using cluster = openCluster()
  const boss = await openQueue(cluster, { supervise: false, schedule: false })
  await cluster.session(async () => {
    const post = await PostCommand.create({ title })
    // The job may be run before any replica has the post: it says what it must see.
    await boss.send(ANNOUNCE, { postId: post.id, token: await cluster.token() })
    console.log(`Enqueued ${post.id}`)
  })
  await boss.stop()
}

await enqueue(process.argv[2] ?? 'Hello')
